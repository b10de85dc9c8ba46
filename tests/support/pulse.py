"""A private PulseAudio that writes all it plays into a pipe, sample by sample: a sound card to listen to.

`with Pulse() as pulse:` starts it; `pulse.env` belongs in the environment of what shall play on it, and
`pulse.enter(monkeypatch)` puts it into that of this process and its children.
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

BYTES_PER_FRAME = 2
ALSA = """
pcm.!default { type pulse hint { show on description "Default" } }
ctl.!default { type pulse }
pcm.pulse { type pulse hint { show on description "PulseAudio" } }
ctl.pulse { type pulse }
pcm.Attic-Speaker { type pulse hint { show on description "A third name for the same sink" } }
"""


class Pulse:
    """One sink, mono s16le at `rate` Hz, which never sleeps: where nothing plays, it captures silence."""

    def __init__(self, rate: int = 24000) -> None:
        self.rate = rate
        self.folder = Path(tempfile.mkdtemp(prefix="pulse-"))  # a socket's path may have 107 characters
        self.env = self._environment()
        self._captured = bytearray()
        self._server: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None

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
        self._until(self._answers, "PulseAudio does not start")
        fifo = os.open(self.folder / "fifo", os.O_RDONLY)
        self._listener = threading.Thread(target=self._listen, args=(fifo,))
        self._listener.start()

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process and its children play on it."""
        for name, value in self.env.items():
            monkeypatch.setenv(name, value)

    def kill(self) -> None:
        """SIGKILL the server, frozen or not."""
        if self._server is not None and self._listener is not None:
            self._server.kill()
            self._server.wait()
            self._listener.join()

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
        """How many streams are open."""
        asked = subprocess.run(
            ["pactl", "list", "short", "sink-inputs"],
            env={**os.environ, **self.env},
            capture_output=True,
            check=True,
        )
        return len(asked.stdout.splitlines())

    def captured(self) -> bytes:
        """All that was played since the start, the silence between it too."""
        return bytes(self._captured)

    def find(self, pcm: bytes, within: int = 0) -> int | None:
        """The frame at which `pcm` was played, whole and contiguous, each sample `within` so many LSB."""
        if within:
            return _find_near(self.captured(), pcm, within)
        offset = self.captured().find(pcm)
        return None if offset < 0 or offset % BYTES_PER_FRAME else offset // BYTES_PER_FRAME

    def without_silence(self) -> bytes:
        """What was played without the samples that are 0."""
        samples = np.frombuffer(self.captured(), np.int16)
        return samples[samples != 0].tobytes()

    async def hears(self, pcm: bytes, within: int = 0, timeout: float = 10.0) -> bool:
        """Wait until `pcm` was played; False if that does not come about."""
        return await self.until(lambda: self.find(pcm, within) is not None, timeout)

    async def until(self, condition: Callable[[], object], timeout: float = 10.0) -> bool:
        """Wait until `condition` holds; False if it does not within `timeout` seconds."""
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

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(otherwise)
            time.sleep(0.02)

    def _listen(self, fifo: int) -> None:
        while piece := os.read(fifo, 65536):
            self._captured += piece
        os.close(fifo)
        # A server killed in mid-sample leaves half of it.
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
    """Noise at a quarter of full scale, of which no sample is 0."""
    generator = np.random.default_rng(seed)
    samples = generator.integers(1, 8192, frames) * generator.choice([-1, 1], frames)
    return samples.astype("<i2").tobytes()


def longest_run_at_the_end(heard: bytes, pcm: bytes) -> int:
    """Frames of the longest end of `pcm` that `heard` ends with."""
    whole, end = np.frombuffer(pcm, np.int16), np.frombuffer(heard, np.int16)
    length = min(len(whole), len(end))
    differs = np.flatnonzero(whole[len(whole) - length :] != end[len(end) - length :])
    return length if not len(differs) else length - 1 - int(differs[-1])


def longest_run_at_the_beginning(heard: bytes, pcm: bytes) -> int:
    whole, begin = np.frombuffer(pcm, np.int16), np.frombuffer(heard, np.int16)
    length = min(len(whole), len(begin))
    differs = np.flatnonzero(whole[:length] != begin[:length])
    return length if not len(differs) else int(differs[0])
