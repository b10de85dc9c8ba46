"""A real mosquitto in a folder of its own, and a client for tests."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.mqtt_client import Mailbox, MqttClient, Received

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Broker", "Mailbox", "MqttClient", "Received", "free_port", "make_ca"]

START_TIMEOUT_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """mosquitto on a free port of 127.0.0.1, `with Broker() as broker:`; its log is at `broker.log`.

    `users` are names and passwords (without, anonymous clients are allowed), `acl` the lines of an ACL
    file. With `tls`, its certificate is for localhost and 127.0.0.1, signed by the authority in `ca_file`.
    Sessions and retained messages survive `stop()` and `start()`, but not `stop(signal.SIGKILL)`.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        acl: Sequence[str] = (),
        tls: bool = False,
        started: bool = True,
    ) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="edgevoice-broker-"))
        self.log = self.folder / "mosquitto.log"
        self.ca_file = self.folder / "ca.crt"
        self._started = started
        self._process: subprocess.Popen[bytes] | None = None
        self._write_configuration(users or {}, acl, tls)

    def __enter__(self) -> Self:
        if self._started:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self.folder / "mosquitto.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mosquitto did not start:\n{self.text_of_log()}")
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.stop(how)
        self.start()

    def text_of_log(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def _write_configuration(self, users: Mapping[str, str], acl: Sequence[str], tls: bool) -> None:
        lines = [
            "user root",
            "persistence true",
            f"persistence_location {self.folder}/",
            f"log_dest file {self.log}",
            "log_type all",
            f"listener {self.port} {self.host}",
            f"allow_anonymous {'false' if users else 'true'}",
        ]
        if users:
            passwords = self.folder / "passwords"
            passwords.touch(mode=0o600)
            for name, password in users.items():
                _run("mosquitto_passwd", "-b", str(passwords), name, password)
            lines.append(f"password_file {passwords}")
        if acl:
            (self.folder / "acl").write_text("\n".join(acl) + "\n")
            lines.append(f"acl_file {self.folder / 'acl'}")
        if tls:
            self._make_certificates()
            lines += [f"certfile {self.folder / 'server.crt'}", f"keyfile {self.folder / 'server.key'}"]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def _make_certificates(self) -> None:
        make_ca(self.folder)
        key, request, certificate = (str(self.folder / f"server.{kind}") for kind in ("key", "csr", "crt"))
        extensions = self.folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        _run(
            "openssl",
            "req",
            "-new",
            *_EC,
            "-nodes",
            "-keyout",
            key,
            "-out",
            request,
            "-subj",
            "/CN=localhost",
        )
        authority = ("-CA", str(self.ca_file), "-CAkey", str(self.folder / "ca.key"), "-CAcreateserial")
        _run(
            *("openssl", "x509", "-req", "-in", request, "-out", certificate, "-days", "2"),
            *(*authority, "-extfile", str(extensions)),
        )


_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def make_ca(folder: Path) -> Path:
    """Create a throw-away certificate authority, `ca.crt` and `ca.key` in `folder`; return `ca.crt`."""
    certificate = folder / "ca.crt"
    _run(
        *("openssl", "req", "-x509", *_EC, "-nodes", "-days", "2", "-subj", "/CN=EdgeVoice test authority"),
        *("-keyout", str(folder / "ca.key"), "-out", str(certificate)),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    return certificate


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
