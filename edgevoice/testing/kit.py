"""Contexts and fakes, and one function to drive each kind of plugin."""

from __future__ import annotations

import array
import asyncio
import contextlib
import math
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from edgevoice.announcement import Urgency
from edgevoice.audio import BYTES_PER_FRAME
from edgevoice.config.validation import Document, Validator
from edgevoice.errors import ConfigError
from edgevoice.plugin import Context, SpeechRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edgevoice.commands import Command
    from edgevoice.plugin import Output, Plugin, Source, Transport

P = TypeVar("P", bound="Plugin")


def context(state_dir: Path, **overrides: Any) -> Context:
    """Return a context as the daemon would give it, on a node with one speaker, `kitchen`.

    Args:
        state_dir: The state folder, such as pytest's `tmp_path`.
        overrides: Any field of `Context`.
    """
    given: dict[str, Any] = {
        "node": "testnode",
        "speakers": ("kitchen",),
        "targets": frozenset({"kitchen", "all"}),
        "speaker": "kitchen",
        **overrides,
    }
    return Context(state_dir=state_dir, **given)


def make(kind: type[P], given: Context, /, **options: Any) -> P:
    """Check options and construct a plugin, as the daemon does it.

    Args:
        kind: The class of the plugin.
        given: The context to construct it with.
        options: The values of its section, as they stand in the configuration.

    Raises:
        ConfigError: The options are invalid.
    """
    validator = Validator(Document({}))
    struct = validator.struct(kind.options, options, ())
    if struct is not None:
        for key, sentence in kind.validate_options(struct):
            validator.issue((key,), sentence)
    if struct is None or validator.issues:
        raise ConfigError(validator.issues)
    return kind(given, struct)


class FakeClock:
    """A clock that stands still until it is advanced; pass it as `context(..., clock=FakeClock())`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0

    def monotonic(self) -> float:
        return self._monotonic

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)


class RecordingProgress:
    """A `Progress` that keeps the last counts, and asserts that they are possible.

    Neither count falls, no frame is played that was not written, and none is written that was not there.
    """

    def __init__(self) -> None:
        #: Frames handed to the device so far.
        self.written_frames = 0
        #: Frames heard so far.
        self.played_frames = 0
        #: Frames of audio that the output has taken so far.
        self.offered_frames = 0

    def written(self, frames: int) -> None:
        assert self.written_frames <= frames, f"written() fell from {self.written_frames} to {frames}"
        assert frames <= self.offered_frames, f"{frames} frames written of {self.offered_frames} given"
        self.written_frames = frames

    def played(self, frames: int) -> None:
        assert self.played_frames <= frames, f"played() fell from {self.played_frames} to {frames}"
        assert frames <= self.written_frames, f"{frames} frames played of {self.written_frames} written"
        self.played_frames = frames


def tone(seconds: float, rate: int = 24000, frequency_hz: float = 440.0) -> bytes:
    """Return a quiet sine as s16le mono."""
    step = 2 * math.pi * frequency_hz / rate
    return array.array(
        "h", (round(3000 * math.sin(step * i)) for i in range(round(seconds * rate)))
    ).tobytes()


async def chunks(pcm: bytes, size_bytes: int = 1200, *, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    """Yield audio in chunks, each after a pause."""
    for start in range(0, len(pcm), size_bytes):
        await asyncio.sleep(pause_s)
        yield pcm[start : start + size_bytes]


async def run_source(
    source: Source, until: Callable[[list[Command]], bool], *, timeout_s: float = 10.0
) -> list[Command]:
    """Enter a source and let it listen until the commands it submitted satisfy `until`; return them.

    Raises:
        AssertionError: `listen` returned, or the commands did not come within `timeout_s`.
    """
    commands: list[Command] = []
    changed = asyncio.Event()

    def submit(command: Command) -> None:
        commands.append(command)
        changed.set()

    async with source:
        listening = asyncio.create_task(source.listen(submit))
        listening.add_done_callback(lambda _: changed.set())
        try:
            async with asyncio.timeout(timeout_s):
                while not until(commands):
                    changed.clear()
                    await changed.wait()
                    if listening.done():
                        listening.result()
                        assert until(commands), f"listen() returned; it had submitted {commands}"
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s:g} s; it has submitted {commands}") from None
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
    return commands


def request(text: str | None, **fields: Any) -> SpeechRequest:
    """Return a request for `text` with the defaults of a normal announcement."""
    given: dict[str, Any] = {"id": "test", "sample_rate": 24000, "urgency": Urgency.NORMAL, **fields}
    return SpeechRequest(text=text, **given)


async def synthesize(transport: Transport, text: str, **fields: Any) -> bytes:
    """Return all that an entered transport says to `text`; `fields` are those of `SpeechRequest`.

    Raises:
        AssertionError: A chunk is empty or holds half a sample, or there is no audio at all.
    """
    pcm = bytearray()
    async for chunk in transport.synthesize(request(text, **fields)):
        check_chunk(chunk)
        pcm += chunk
    assert pcm, "synthesize() ended without audio and without an error"
    return bytes(pcm)


def check_chunk(chunk: bytes) -> None:
    """Raise an AssertionError unless a chunk of audio is what `Transport.synthesize` promises."""
    assert isinstance(chunk, bytes | bytearray | memoryview), f"a chunk is {type(chunk).__name__}, not bytes"
    assert len(chunk), "a chunk is empty"
    assert len(chunk) % BYTES_PER_FRAME == 0, f"a chunk of {len(chunk)} bytes ends in the middle of a sample"


async def play(
    output: Output, pcm: bytes, rate: int = 24000, *, size_bytes: int = 1200, pause_s: float = 0.0
) -> RecordingProgress:
    """Play audio on an entered output, and return what it reported."""
    progress = RecordingProgress()
    await output.play(offered(pcm, progress, size_bytes, pause_s), rate, progress)
    return progress


async def offered(
    pcm: bytes, progress: RecordingProgress, size_bytes: int = 1200, pause_s: float = 0.0
) -> AsyncIterator[bytes]:
    """Yield audio in chunks, and count in `progress` what was taken."""
    async for chunk in chunks(pcm, size_bytes, pause_s=pause_s):
        progress.offered_frames += len(chunk) // BYTES_PER_FRAME
        yield chunk


def elapsed_s(since: float) -> float:
    """Return the seconds since a `time.monotonic()`."""
    return time.monotonic() - since
