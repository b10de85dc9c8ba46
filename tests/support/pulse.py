"""A private PulseAudio whose sink writes every sample into a pipe, from which tests read what was played.

`with Pulse() as pulse:` starts it; `pulse.env` is the environment of a process that plays on it, and
`pulse.enter(monkeypatch)` sets it for this process and its children.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from edgevoice import BYTES_PER_FRAME

ALSA = """
pcm.!default { type pulse hint { show on description "Default" } }
ctl.!default { type pulse }
pcm.pulse { type pulse hint { show on description "PulseAudio" } }
ctl.pulse { type pulse }
pcm.Attic-Speaker { type pulse hint { show on description "A third name for the same sink" } }
"""


class Pulse:
    """A server with one sink, mono s16le at `rate` Hz, which is never suspended: without a stream, it captures silence."""

    def __init__(self, rate: int = 24000) -> None:
        self.rate = rate
        self.folder = Path(
            tempfile.mkdtemp(prefix="pulse-")
        )  # not tmp_path: the path of a socket is limited to 107 bytes
        self.env = self._environment()
        self._captured = bytearray()
        self._server: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        (self.folder / "native").unlink(missing_ok=True)
        sink = (
            f"module-pipe-sink file={self.folder}/fifo format=s16le channels=1 rate={self.rate}"
            " use_system_clock_for_timing=yes"
        )
        socket = f"module-native-protocol-unix socket={self.folder}/native auth-anonymous=1"
        options = (
            "-n --daemonize=no --use-pid-file=no --exit-idle-time=-1 --disallow-exit --disable-shm=yes"
            " --realtime=no --high-priority=no --log-target=stderr"
        )
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                ["pulseaudio", *options.split(), "-L", socket, "-L", sink],
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait(self._answers, "PulseAudio does not start")
        fifo = os.open(self.folder / "fifo", os.O_RDONLY)
        self._reader = threading.Thread(target=self._listen, args=(fifo,))
        self._reader.start()

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this process and its children play on it."""
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)

    def kill(self) -> None:
        """SIGKILL the server, frozen or not."""
        if self._server is not None and self._reader is not None:
            self._server.kill()
            self._server.wait()
            self._reader.join()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def load(self, module: str) -> None:
        """Load a module into the server, with its arguments."""
        self._pactl("load-module", *module.split())

    def set_default_sink(self, name: str) -> None:
        self._pactl("set-default-sink", name)

    def _pactl(self, *words: str) -> None:
        subprocess.run(["pactl", *words], env={**os.environ, **self.env}, capture_output=True, check=True)

    def streams(self) -> int:
        """Return the number of open streams."""
        asked = subprocess.run(
            ["pactl", "list", "short", "sink-inputs"],
            env={**os.environ, **self.env},
            capture_output=True,
            check=True,
        )
        return len(asked.stdout.splitlines())

    def captured(self) -> bytes:
        """Return all that was played since the start, including silence."""
        return bytes(self._captured)

    def find(self, pcm: bytes, within: int = 0) -> int | None:
        """Return the frame at which `pcm` was played without a gap; each sample may differ by `within` LSB."""
        if within:
            return _find_near(self.captured(), pcm, within)
        offset = self.captured().find(pcm)
        return None if offset < 0 or offset % BYTES_PER_FRAME else offset // BYTES_PER_FRAME

    def without_silence(self) -> bytes:
        """Return what was played, without the samples that are 0."""
        samples = np.frombuffer(self.captured(), np.int16)
        return bytes(samples[samples != 0].tobytes())

    async def hears(self, pcm: bytes, within: int = 0, timeout: float = 10.0) -> bool:
        """Wait until `pcm` was played; False after `timeout` seconds."""
        return await self.until(lambda: self.find(pcm, within) is not None, timeout)

    async def until(self, condition: Callable[[], object], timeout: float = 10.0) -> bool:
        """Wait until `condition` holds; False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        (self.folder / "asound.conf").write_text(ALSA)
        (self.folder / "client.conf").write_text("autospawn = no\nenable-shm = no\n")
        folder = str(self.folder)
        environment = {
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
        for library in Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so"):
            environment["ALSA_PLUGIN_DIR"] = str(library.parent)
        return environment

    def _answers(self) -> bool:
        if self._server is None or self._server.poll() is not None:
            pytest.fail((self.folder / "log").read_text())
        asked = subprocess.run(
            ["pactl", "info"], env={**os.environ, **self.env}, capture_output=True, check=False
        )
        return asked.returncode == 0

    def _wait(self, condition: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(failure)
            time.sleep(0.02)

    def _listen(self, fifo: int) -> None:
        while chunk := os.read(fifo, 65536):
            self._captured += chunk
        os.close(fifo)
        # A killed server may leave half a sample.
        del self._captured[len(self._captured) // BYTES_PER_FRAME * BYTES_PER_FRAME :]

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None:
            self._server.send_signal(number)


def _find_near(captured: bytes, pcm: bytes, within: int) -> int | None:
    heard = np.frombuffer(captured[: len(captured) // 2 * 2], np.int16).astype(np.float64)
    wanted = np.frombuffer(pcm, np.int16).astype(np.float64)
    if len(heard) < len(wanted):
        return None
    size = len(heard) + len(wanted)
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    place = int(np.argmax(np.fft.irfft(product, size)[: len(heard) - len(wanted) + 1]))
    difference = np.abs(heard[place : place + len(wanted)] - wanted).max()
    return place if difference <= within else None


def noise(frames: int, seed: int = 0) -> bytes:
    """Return noise at a quarter of full scale, without samples that are 0."""
    generator = np.random.default_rng(seed)
    samples = generator.integers(1, 8192, frames) * generator.choice([-1, 1], frames)
    return bytes(samples.astype("<i2").tobytes())


def longest_run_at_the_end(heard: bytes, pcm: bytes) -> int:
    """Return the frames of the longest suffix of `pcm` that `heard` ends with."""
    whole, end = np.frombuffer(pcm, np.int16), np.frombuffer(heard, np.int16)
    length = min(len(whole), len(end))
    differs = np.flatnonzero(whole[len(whole) - length :] != end[len(end) - length :])
    return length if not len(differs) else length - 1 - int(differs[-1])


def longest_run_at_the_beginning(heard: bytes, pcm: bytes) -> int:
    """Return the frames of the longest prefix of `pcm` that `heard` begins with."""
    whole, begin = np.frombuffer(pcm, np.int16), np.frombuffer(heard, np.int16)
    length = min(len(whole), len(begin))
    differs = np.flatnonzero(whole[:length] != begin[:length])
    return length if not len(differs) else int(differs[0])
