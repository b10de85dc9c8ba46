"""A PulseAudio server for the run, with null sinks."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Self

from bench.rig import processes

RATE = 48000
START_TIMEOUT_S = 20.0
ALSA = """
pcm.!default { type pulse hint { show on description "Default" } }
ctl.!default { type pulse }
"""


class Pulse:
    """`with Pulse(folder) as pulse:`; `pulse.environment(sink)` is the environment of a process that plays on that sink."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self._sinks: set[str] = set()

    def __enter__(self) -> Self:
        (self._folder / "asound.conf").write_text(ALSA)
        (self._folder / "client.conf").write_text("autospawn = no\n")
        protocol = f"module-native-protocol-unix socket={self._folder}/native auth-anonymous=1"
        options = "-n --daemonize=no --use-pid-file=no --exit-idle-time=-1 --disallow-exit=yes"
        command = ["pulseaudio", *options.split(), "--log-target=stderr", "-L", protocol]
        self._server = processes.start(command, self.environment(), self._folder / "pulseaudio.log")
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._ask("info").returncode != 0:
            if self._server.poll() is not None or time.monotonic() > deadline:
                log = (self._folder / "pulseaudio.log").read_text()
                raise RuntimeError(f"PulseAudio does not start:\n{log}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            processes.stop(self._server)

    @property
    def pid(self) -> int:
        return self._server.pid if self._server is not None else 0

    def sink(self, name: str) -> str:
        """Return the name of a null sink, which is created if necessary: 48000 Hz, mono, 16 bit."""
        if name not in self._sinks:
            options = f"sink_name={name} rate={RATE} channels=1 format=s16le"
            made = self._ask("load-module", "module-null-sink", *options.split())
            if made.returncode != 0:
                raise RuntimeError(f"PulseAudio makes no sink: {made.stderr.decode()}")
            self._sinks.add(name)
        return name

    def open_streams(self) -> int:
        """Return the number of open streams on all sinks."""
        return len(self._ask("list", "short", "sink-inputs").stdout.splitlines())

    def environment(self, sink: str = "") -> dict[str, str]:
        """Return environment variables with `sink` as the default device of PulseAudio and ALSA."""
        folder = str(self._folder)
        environment = {
            **os.environ,
            "HOME": folder,
            "XDG_RUNTIME_DIR": folder,
            "PULSE_RUNTIME_PATH": folder,
            "PULSE_STATE_PATH": folder,
            "PULSE_COOKIE": f"{folder}/cookie",
            "PULSE_SERVER": f"unix:{folder}/native",
            "PULSE_CLIENTCONFIG": f"{folder}/client.conf",
            "ALSA_CONFIG_PATH": f"{folder}/asound.conf",
            "JACK_NO_START_SERVER": "1",
        }
        if sink:
            environment["PULSE_SINK"] = sink
        for library in Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so"):
            environment["ALSA_PLUGIN_DIR"] = str(library.parent)
        return environment

    def _ask(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["pactl", *words], env=self.environment(), capture_output=True, check=False)
