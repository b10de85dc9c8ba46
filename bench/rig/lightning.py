"""The process of the simulated server: start it, set its knobs, read its records."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Self

import msgspec

from bench.rig import processes
from bench.rig.broker import free_port
from bench.server.knobs import Knobs
from bench.server.record import Record, records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RTT_MS = 40.0


class Lightning:
    """`with Lightning(folder, environment) as server:`; `http` is its address, `far` that of a relay with TLS and 40 ms."""

    def __init__(self, folder: Path, environment: Mapping[str, str], idle: float = 60.0) -> None:
        self._port, self._tls, self._relay = free_port(), free_port(), free_port()
        self._log = folder / f"server-{self._port}.jsonl"
        self._folder = folder
        self._environment = environment
        self._idle = idle
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._known: list[Record] = []
        self.certificate = folder / "certificate.pem"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def far(self) -> str:
        return f"https://127.0.0.1:{self._relay}"

    def __enter__(self) -> Self:
        key = self._certified()
        tls = ["--tls", str(self._tls), str(self.certificate), str(key)]
        relay = ["--relay", str(self._relay), str(self._tls), str(RTT_MS)]
        command = [
            sys.executable,
            "-m",
            "bench.server",
            str(self._port),
            str(self._log),
            "--idle",
            str(self._idle),
        ]
        log = self._folder / "server.log"
        self._process = processes.start([*command, *tls, *relay], self._environment, log, answers=True)
        if self._process.stdout is None or not self._process.stdout.readline():
            raise RuntimeError(f"the simulated server does not start:\n{log.read_text()}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            processes.stop(self._process)

    def set(self, **knobs: float) -> None:
        """Set these knobs, and all others to their defaults."""
        body = msgspec.json.encode(Knobs(**{"idle_s": self._idle, **knobs}))  # type: ignore[arg-type]
        request = urllib.request.Request(f"{self.http}/_knobs", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=5):
            pass

    def records(self) -> list[Record]:
        """Return the finished requests, in the order of their ends."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            complete = data[: data.rfind(b"\n") + 1]
            self._read += len(complete)
            self._known += records(complete)
        return self._known

    def record(self, number: int, within: float = 3.0) -> Record | None:
        """Return the request for the message with this number; None if there was none."""
        deadline = time.monotonic() + within
        while True:
            for record in reversed(self.records()):
                if record.number == number and record.first is not None:
                    return record
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)

    def _certified(self) -> Path:
        key = self._folder / "key.pem"
        if not key.exists():
            subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
            kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
            files = ("-keyout", str(key), "-out", str(self.certificate))
            command = ["openssl", "req", "-x509", *kind, *files, *subject]
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        return key
