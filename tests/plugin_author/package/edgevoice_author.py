"""A plugin of each kind, written from plugins/README.md alone: it imports only `edgevoice`."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgevoice import (
    BYTES_PER_FRAME,
    AccountRefused,
    Event,
    Observer,
    Output,
    Resampler,
    Say,
    Source,
    SpeechOptions,
    Transport,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice import Context, Progress, Registry, SpeechRequest, Submit


class SpoolOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    folder: Path | None = None
    interval_s: float = 0.02


class Spool(Source):
    """Announces each file `<target>.txt` that is put into a folder."""

    options = SpoolOptions
    config: SpoolOptions

    async def listen(self, submit: Submit) -> None:
        while True:
            for target, payload in await asyncio.to_thread(self._take):
                submit(Say(target=target, payload=payload))
            await asyncio.sleep(self.config.interval_s)

    def _take(self) -> list[tuple[str, bytes]]:
        folder = self.config.folder or self.context.state_dir / "spool"
        found = []
        for file in sorted(folder.glob("*.txt")):
            found.append((file.stem, file.read_bytes()))
            file.unlink()
        return found


class MorseOptions(SpeechOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    frequency_hz: float = 600.0
    credit: bool = True


class Morse(Transport):
    """Speaks Morse code: a service with an account of its own."""

    options = MorseOptions
    config: MorseOptions
    account = "morse"
    accepts_text_stream = True

    @classmethod
    def validate_options(cls, options: MorseOptions) -> list[tuple[str, str]]:
        return [] if 100 <= options.frequency_hz <= 3000 else [("frequency_hz", "must be 100 to 3000")]

    @classmethod
    def voice_identity(cls, options: MorseOptions, request: SpeechRequest) -> str:
        return f"morse {options.frequency_hz} {request.voice} {request.language} {request.speed}"

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        if not self.config.credit:
            raise AccountRefused("no credit left")
        resampler = Resampler(8000, request.sample_rate)
        async for text in request.text_stream or _once(request.text or ""):
            for char in text:
                if char.isalnum() and (pcm := resampler.feed(self._beep(request.speed))):
                    yield pcm
        if pcm := resampler.feed(b"", last=True):
            yield pcm

    def _beep(self, speed: float) -> bytes:
        step = 2 * math.pi * self.config.frequency_hz / 8000
        samples = (round(4000 * math.sin(step * i)) for i in range(round(160 / speed)))
        return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


async def _once(text: str) -> AsyncIterator[str]:
    yield text


class BufferOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: Path | None = None


class Buffer(Output):
    """Appends raw samples to a file."""

    options = BufferOptions
    config: BufferOptions

    @classmethod
    def exclusive_resource(cls, options: BufferOptions) -> str | None:
        return str(options.file) if options.file else None

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        frames = 0
        async for pcm in audio:
            await asyncio.to_thread(self._append, pcm)
            frames += len(pcm) // BYTES_PER_FRAME
            progress.written(frames)
            progress.played(frames)

    def _append(self, pcm: bytes) -> None:
        if self.config.file is not None:
            with self.config.file.open("ab") as file:
                file.write(pcm)


class Tally(Observer):
    """Counts outcomes in a file."""

    def __init__(self, context: Context, options: object) -> None:
        super().__init__(context, options)
        self._outcomes: asyncio.Queue[str] = asyncio.Queue(1000)

    def on_event(self, event: Event, origin: object) -> None:
        if event.event_type.is_outcome and not self._outcomes.full():
            self._outcomes.put_nowait(f"{event.event_type} {event.transport}\n")

    async def run(self) -> None:
        while True:
            line = await self._outcomes.get()
            await asyncio.to_thread(self._append, line)

    def _append(self, line: str) -> None:
        with (self.context.state_dir / "tally.txt").open("a") as file:
            file.write(line)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.source("spool", Spool)
    register.transport("morse", Morse)
    register.output("buffer", Buffer)
    register.observer("tally", Tally)


@hookimpl
def edgevoice_filter_text(text: str, language: str) -> str | None:
    return text.replace("°C", " degrees") if language == "en" else None
