"""The test rig of a row of the table, and the start of its contestants."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench.rig import processes
from bench.rig.broker import Broker
from bench.rig.contestants import BASE, Kind
from bench.rig.ear import Ear
from bench.rig.lightning import Lightning
from bench.rig.publisher import Publisher
from bench.rig.pulse import Pulse

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

SINK = "ear"
NODE = "bench"
READY_WITHIN = 60.0
SETTLES_S = 1.0
ROOT = Path(__file__).parent.parent.parent


class Rig:
    """`with Rig(folder) as rig:`; everything in that folder and on the loopback.

    `idle` is after how many seconds the server gives an idle connection up.
    """

    def __init__(self, folder: Path, *, idle: float = 60.0) -> None:
        self.folder = folder
        self.numbers = itertools.count(1)
        self._idle = idle
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.pulse = stack.enter_context(Pulse(self.folder))
            environment = self.pulse.environment()
            paths = [str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
            self._own = {**environment, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
            self.broker = stack.enter_context(Broker(self.folder, environment))
            self.server = stack.enter_context(Lightning(self.folder, self._own, self._idle))
            self.publisher = stack.enter_context(Publisher(self.broker.port, "bench-publisher"))
            self.ear = stack.enter_context(Ear(self.pulse, SINK))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def another_ear(self, sink: str) -> Ear:
        return Ear(self.pulse, sink)

    @contextmanager
    def edgevoice(
        self, *, speaker: str = "edgevoice", sink: str = SINK, far: bool = False, **sections: Any
    ) -> Iterator[Started]:
        """The real daemon, with a configuration that asks for nothing but the announcements themselves."""
        folder = self.folder / f"{speaker}-{next(self.numbers)}"
        folder.mkdir()
        configuration = folder / "edgevoice.yaml"
        configuration.write_text(json.dumps(self._configuration(folder, speaker, far, sections)))
        command = [str(Path(sys.executable).parent / "edgevoice"), "run", "--config", str(configuration)]
        environment = {**self._own, "PULSE_SINK": self.pulse.sink(sink)}
        if far:
            environment["SSL_CERT_FILE"] = str(self.server.certificate)
        with Publisher(self.broker.port, f"bench-{speaker}") as watch:
            watch.subscribe(f"{BASE}/{NODE}-{speaker}/availability")
            watch.received(0.2)
            began = time.monotonic()
            process = processes.started(command, environment, folder / "log")
            try:
                online = _online(watch, process, folder / "log")
                time.sleep(SETTLES_S)
                yield Started(speaker, process.pid, online - began)
            finally:
                processes.ended(process)
                watch.publish(f"{BASE}/{NODE}-{speaker}/availability", b"")

    @contextmanager
    def started(self, kind: Kind, *, sink: str = SINK, far: bool = False) -> Iterator[Started]:
        """A reference or a peer, once it says that it is ready."""
        folder = self.folder / f"{kind.name}-{next(self.numbers)}"
        folder.mkdir()
        address = self.server.far if far else self.server.http
        environment = {
            **self.pulse.environment(self.pulse.sink(sink)),
            "BENCH_MQTT_PORT": str(self.broker.port),
            "BENCH_TOPIC": f"{BASE}/{kind.name}",
            "BENCH_HTTP": address,
            "BENCH_WS": address.replace("http", "ws", 1),
            "BENCH_FOLDER": str(folder),
            "SSL_CERT_FILE": str(self.server.certificate),
            "SMALLEST_API_KEY": "sk_bench",
            "PYTHONPATH": str(ROOT),
        }
        began = time.monotonic()
        process = processes.started(kind.command(), environment, folder / "log", answers=True)
        try:
            ready = _says_ready(process, folder / "log")
            time.sleep(SETTLES_S)
            yield Started(kind.name, process.pid, ready - began)
        finally:
            processes.ended(process)

    def _configuration(
        self, folder: Path, speaker: str, far: bool, sections: dict[str, Any]
    ) -> dict[str, Any]:
        key = folder / "api_key"
        key.touch(mode=0o600)
        key.write_text("sk_bench\n")
        lightning = {"base_url": self.server.far if far else self.server.http, "api_key_file": str(key)}
        return {
            "node": f"{NODE}-{speaker}",
            "state_dir": str(folder / "state"),
            "chime": "none",
            "cache": {"enabled": False},
            "limits": {"per_topic": False, "total": False, "critical": False, "queue": 2000},
            "mqtt": {"host": "127.0.0.1", "port": self.broker.port, "base_topic": BASE},
            "speakers": {speaker: {"output": "sound_card"}},
            **sections,
            "lightning": {**lightning, **sections.get("lightning", {})},
        }


class Started:
    """A contestant that is running: its name, its process, and the seconds it took to be ready."""

    def __init__(self, name: str, pid: int, ready: float) -> None:
        self.name = name
        self.pid = pid
        self.ready = ready


def _online(watch: Publisher, process: subprocess.Popen[bytes], log: Path) -> float:
    """The moment at which the daemon said that it is there."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if any(payload == b"online" for _, payload in watch.received(0.05)):
            return time.monotonic()
    raise RuntimeError(f"EdgeVoice does not start:\n{log.read_text()}")


def _says_ready(process: subprocess.Popen[bytes], log: Path) -> float:
    """The moment at which the process printed READY."""
    if process.stdout is not None:
        os.set_blocking(process.stdout.fileno(), False)
        said, deadline = b"", time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and process.poll() is None:
            said += process.stdout.read() or b""
            if b"READY" in said:
                return time.monotonic()
            time.sleep(0.002)
    raise RuntimeError(f"it does not start:\n{log.read_text()[-2000:]}")
