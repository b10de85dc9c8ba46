"""The test rig of a row: starts the servers, EdgeVoice and the other contestants."""

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
from bench.rig.contestants import BASE, Contestant
from bench.rig.lightning import Lightning
from bench.rig.publisher import Publisher
from bench.rig.pulse import Pulse
from bench.rig.sink_monitor import SinkMonitor

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

SINK = "monitor"
NODE = "bench"
READY_TIMEOUT_S = 60.0
SETTLE_S = 1.0
ROOT = Path(__file__).parent.parent.parent


class Rig:
    """`with Rig(folder) as rig:`; all files are in that folder, all sockets on the loopback.

    `idle` is the idle timeout of the simulated server's connections, in seconds.
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
            self.monitor = stack.enter_context(SinkMonitor(self.pulse, SINK))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def monitor_of(self, sink: str) -> SinkMonitor:
        return SinkMonitor(self.pulse, sink)

    @contextmanager
    def start_edgevoice(
        self, *, speaker: str = "edgevoice", sink: str = SINK, far: bool = False, **sections: Any
    ) -> Iterator[RunningContestant]:
        """Start `edgevoice run`, configured without chimes, limits and cache unless `sections` say otherwise."""
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
            process = processes.start(command, environment, folder / "log")
            try:
                online = _wait_online(watch, process, folder / "log")
                time.sleep(SETTLE_S)
                yield RunningContestant(speaker, process.pid, online - began)
            finally:
                processes.stop(process)
                watch.publish(f"{BASE}/{NODE}-{speaker}/availability", b"")

    @contextmanager
    def start_contestant(
        self, kind: Contestant, *, sink: str = SINK, far: bool = False
    ) -> Iterator[RunningContestant]:
        """Start a reference or a peer, and wait until it is ready."""
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
        process = processes.start(kind.command(), environment, folder / "log", answers=True)
        try:
            ready = _wait_ready(process, folder / "log")
            time.sleep(SETTLE_S)
            yield RunningContestant(kind.name, process.pid, ready - began)
        finally:
            processes.stop(process)

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


class RunningContestant:
    """A running contestant: its name, its process id, and the seconds from its start until it was ready."""

    def __init__(self, name: str, pid: int, ready: float) -> None:
        self.name = name
        self.pid = pid
        self.start_s = ready


def _wait_online(watch: Publisher, process: subprocess.Popen[bytes], log: Path) -> float:
    """Wait for `online`; return its time in seconds of the monotonic clock."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if any(payload == b"online" for _, payload in watch.received(0.05)):
            return time.monotonic()
    raise RuntimeError(f"EdgeVoice does not start:\n{log.read_text()}")


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> float:
    """Wait until the process prints READY; return the time in seconds of the monotonic clock."""
    if process.stdout is not None:
        os.set_blocking(process.stdout.fileno(), False)
        said, deadline = b"", time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            said += process.stdout.read() or b""
            if b"READY" in said:
                return time.monotonic()
            time.sleep(0.002)
    raise RuntimeError(f"it does not start:\n{log.read_text()[-2000:]}")
