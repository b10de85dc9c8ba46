"""The whole daemon in this process: a real broker before it, files or a sound card behind it."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from edgevoice.config import settings_from
from edgevoice.daemon import run
from edgevoice.synthesis.synthesizer import Timeouts
from tests.support.broker import Broker, Mailbox, MqttClient

if TYPE_CHECKING:
    from tests.support.broker import Received

OUTCOMES = {"finished", "expired", "replaced", "suppressed", "cancelled", "failed"}


class House:
    """`async with House(broker, lightning={"base_url": server.url}) as house:`.

    Without `speakers` there is one, `kitchen`. One without an output writes a WAV file, with `pace` as fast as
    it is heard.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        speakers: dict[str, Any] | None = None,
        pace: bool = False,
        timeouts: Timeouts | None = None,
        **sections: Any,
    ) -> None:
        # On a disk, whatever the temporary folder lies on: long clips are refused by memory.
        self.folder = Path(tempfile.mkdtemp(prefix="edgevoice-house-", dir="/var/tmp"))
        self.broker = broker
        self.speakers = {
            name: options if "output" in options else self.file(name, **{"pace": pace, **options})
            for name, options in (speakers or {"kitchen": {}}).items()
        }
        # Nothing but the announcements themselves, unless a test is about it.
        sections.setdefault("chime", "none")
        sections.setdefault("cache", {"enabled": False})
        sections.setdefault("limits", {"per_topic": False, "total": False, "critical": False})
        sections.setdefault("lightning", {"base_url": "http://127.0.0.1:9"})
        self.configuration = yaml.safe_dump(
            {
                "node": "testnode",
                "state_dir": str(self.folder),
                "mqtt": {"host": broker.host, "port": broker.port},
                "speakers": self.speakers,
                **sections,
            }
        )
        self.settings = settings_from(self.configuration)
        self._timeouts = timeouts or Timeouts()
        self._stop = asyncio.Event()

    def file(self, name: str, **options: Any) -> dict[str, Any]:
        """The options of a speaker that writes `name`.wav."""
        return {"output": "wav_file", "path": str(self.folder / f"{name}.wav"), "pace": False, **options}

    async def __aenter__(self) -> Self:
        await self.connect()
        self.begin()
        await self.online()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.leave()
        finally:
            await self.client.__aexit__()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def connect(self) -> None:
        """Listen at the broker for what the daemon tells; again, once the broker was restarted."""
        self.client = await MqttClient(self.broker).__aenter__()
        self.events = await self.client.collect("edgevoice/+/event")
        self.available = await self.client.collect("edgevoice/testnode/availability")

    def begin(self) -> None:
        """Start the daemon."""
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        await run(self.settings, self._stop, timeouts=self._timeouts)

    async def online(self) -> None:
        """Wait until the daemon is available; raises what it ended with instead."""
        waiting = asyncio.create_task(self.available.wait_for_payload("online", within=30))
        await asyncio.wait({self.task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            waiting.cancel()
            await self.client.__aexit__()
            self.task.result()
        await waiting

    async def leave(self) -> None:
        """End the daemon as SIGTERM would."""
        self._stop.set()
        await self.task

    async def again(self) -> None:
        """Start the daemon again, with its state."""
        self._stop.clear()
        self.available.messages.clear()
        self.begin()
        await self.online()

    async def say(self, text: str, *, to: str = "kitchen", **keys: Any) -> None:
        """Publish an announcement as JSON."""
        await self.client.publish(f"edgevoice/{to}/say", json.dumps({"text": text, **keys}))

    async def said(self, text: str, *, to: str = "kitchen", **keys: Any) -> dict[str, Any]:
        """Publish an announcement and wait for its outcome."""
        name = keys.setdefault("id", f"id-{len(self.events.messages)}-{abs(hash(text)) % 10000}")
        await self.say(text, to=to, **keys)
        return await self.outcome(name)

    async def outcome(self, name: str, *, speaker: str | None = None, within: float = 30) -> dict[str, Any]:
        """The outcome of the announcement with this id."""

        def fits(message: Received) -> bool:
            event = message.json
            return (
                event.get("id") == name
                and event["event_type"] in OUTCOMES
                and speaker in (None, event.get("speaker"))
            )

        return (await self.events.wait(fits, within=within)).json

    async def step(self, name: str, step: str, *, within: float = 30) -> dict[str, Any]:
        """The first such step of the announcement with this id."""

        def fits(message: Received) -> bool:
            return message.json.get("id") == name and message.json["event_type"] == step

        return (await self.events.wait(fits, within=within)).json

    async def rejection(self, *, within: float = 15) -> dict[str, Any]:
        """The next rejection."""

        def fits(message: Received) -> bool:
            return message.json["event_type"] == "rejected"

        return (await self.events.wait(fits, within=within)).json

    def steps(self, name: str) -> list[str]:
        """All steps of the announcement so far, in order."""
        return [m.json["event_type"] for m in self.events.messages if m.json.get("id") == name]

    def heard(self, name: str = "kitchen") -> bytes:
        """The samples in the WAV file of a speaker."""
        with wave.open(str(self.folder / f"{name}.wav")) as file:
            return file.readframes(file.getnframes())


__all__ = ["House", "Mailbox"]
