"""A whole daemon in this process, which writes what it says into WAV files."""

from __future__ import annotations

import asyncio
import json
import wave
from typing import TYPE_CHECKING, Any, Self

from edgevoice.commands import Command, Say
from edgevoice.config import settings_from
from edgevoice.daemon import run
from edgevoice.errors import PluginError
from edgevoice.plugin import Observer, Role, Source, SpeechRequest, Transport
from edgevoice.testing.kit import tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edgevoice.commands import Submit
    from edgevoice.outcome import Event, Rejection
    from edgevoice.plugin import Plugin

_NAME = "edgevoice_testing"


class ToneTransport(Transport):
    """A voice of last resort for tests: a tone of 50 ms a word, without any dependency."""

    role = Role.FALLBACK

    async def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        for _ in (request.text or "").split():
            yield tone(0.05, request.sample_rate)


class TestDaemon:
    """A daemon with one speaker, `kitchen`. Use it as `async with`.

        async with TestDaemon(tmp_path, {"my_voice": MyVoice}, routes=[{"use": ["my_voice"]}]) as daemon:
            event = await daemon.say("Tea is ready.")
            assert event.transport == "my_voice"

    Installed plugins are loaded as always. Without an account, `ToneTransport` (`tone`) speaks.
    """

    __test__ = False  # not a test class, in spite of its name

    def __init__(self, folder: Path, plugins: dict[str, type[Plugin]] | None = None, **sections: Any) -> None:
        """Prepare the configuration.

        Args:
            folder: A folder for state and WAV files, such as pytest's `tmp_path`.
            plugins: Classes to register, by name.
            sections: Sections of the configuration, as they stand in the YAML.

        Raises:
            ConfigError: The configuration is invalid.
        """
        #: Every event so far, in order.
        self.events: list[Event] = []
        #: Every rejected input so far, in order.
        self.rejections: list[Rejection] = []
        self._folder = folder
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._submit: Submit | None = None
        self._count = 0
        kinds: dict[str, type[Plugin]] = {"tone": ToneTransport, **(plugins or {}), _NAME: self._probe()}
        sections.setdefault("node", "testnode")
        sections.setdefault("state_dir", str(folder))
        sections.setdefault("chime", "none")
        sections.setdefault("cache", {"enabled": False})
        sections.setdefault("speakers", {"kitchen": self.output()})
        # JSON is YAML.
        self._settings = settings_from(json.dumps(sections), kinds)

    def output(self, speaker: str = "kitchen") -> dict[str, Any]:
        """Return the options of a speaker that writes into `wav(speaker)`."""
        return {"output": {"type": "wav_file", "path": str(self.wav_path(speaker)), "pace": False}}

    def wav_path(self, speaker: str = "kitchen") -> Path:
        """Return the path of the file that a speaker writes."""
        return self._folder / f"{speaker}.wav"

    def wav(self, speaker: str = "kitchen") -> bytes:
        """Return the samples that a speaker has played so far: s16le mono at 24000 Hz."""
        with wave.open(str(self.wav_path(speaker))) as file:
            return bytes(file.readframes(file.getnframes()))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(run(self._settings, self._stop))
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._task.result()
            raise PluginError("the daemon ended while it was starting")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._task

    def submit(self, command: Command) -> None:
        """Submit a command, as a source would."""
        assert self._submit is not None, "use the daemon as `async with`"
        self._submit(command)

    async def say(self, text: str, *, to: str = "kitchen", timeout_s: float = 20.0, **keys: Any) -> Event:
        """Announce a text, with any keys of an announcement; return its outcome on the first speaker.

        Raises:
            AssertionError: There was no outcome within `timeout_s`.
        """
        self._count += 1
        name = keys.setdefault("id", f"test-{self._count}")
        self.submit(Say(target=to, payload=json.dumps({"text": text, **keys}).encode()))
        return await self.outcome(name, timeout_s=timeout_s)

    async def outcome(self, name: str, *, timeout_s: float = 20.0) -> Event:
        """Wait for the outcome of the announcement with this id, and return it.

        Raises:
            AssertionError: There was none within `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for event in self.events:
                        if event.id == name and event.event_type.is_outcome:
                            return event
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no outcome of {name} within {timeout_s:g} s: {self.events}") from None

    def _probe(self) -> type[Plugin]:
        """Return a source and observer through which the test talks to the daemon."""
        daemon = self

        class Probe(Source, Observer):
            async def listen(self, submit: Submit) -> None:
                daemon._submit = submit
                await self.context.ready.wait()
                daemon._ready.set()
                await asyncio.Event().wait()

            def on_event(self, event: Event, origin: object) -> None:
                del origin
                daemon.events.append(event)
                daemon._changed.set()

            def on_rejected(self, rejection: Rejection, origin: object) -> None:
                del origin
                daemon.rejections.append(rejection)
                daemon._changed.set()

        return Probe
