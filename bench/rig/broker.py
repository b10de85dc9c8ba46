"""A mosquitto for the run, on a free loopback port."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Self

from bench.rig import processes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

START_TIMEOUT_S = 10.0


def free_port() -> int:
    """Return a loopback port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """`with Broker(folder, environment) as broker:`; clients need no password."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self._folder = folder
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "persistence false",
            "set_tcp_nodelay true",
            "max_queued_messages 0",
            "log_type error",
        ]
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        command = ["mosquitto", "-c", str(configuration)]
        self._process = processes.start(command, self._environment, self._folder / "mosquitto.log")
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self._folder / "mosquitto.log").read_text()
                raise RuntimeError(f"mosquitto does not start:\n{log}")
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            processes.stop(self._process)
