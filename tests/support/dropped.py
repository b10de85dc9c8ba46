"""Plugins of others as they lie in a drop-in folder, and a daemon that finds them there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tests.support.dropin import dropin
from tests.support.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

BEGINNING = """
import asyncio
import msgspec
from edgevoice import Observer, Output, Say, Source, Transport, hookimpl

@hookimpl
def edgevoice_register(register):
    registers(register)
"""

BELL = """
class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = "ding"
    to: str = "kitchen"

class Bell(Source):
    options = Options
    async def listen(self, submit):
        await self.context.ready.wait()
        submit(Say(target=self.config.to, payload=self.config.text.encode()))
        await asyncio.Event().wait()

def registers(register):
    register.source("bell", Bell)
"""

BEEP = """
class Beep(Transport):
    asked = []
    async def synthesize(self, request):
        Beep.asked.append(request.text)
        for _ in range(10):
            yield b"\\x01\\x10" * (request.sample_rate // 100)

def registers(register):
    register.transport("beep", Beep)
"""

LISTENER = """
class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    loud: bool = False

class Listener(Output):
    options = Options
    heard = {}
    async def probe(self):
        pass
    async def play(self, audio, rate, progress):
        frames = 0
        async for pcm in audio:
            frames += len(pcm) // 2
            Listener.heard[self.speaker, self.config.loud] = Listener.heard.get((self.speaker, self.config.loud), b"") + pcm
            progress.written(frames)
            progress.played(frames)

def registers(register):
    register.output("listener", Listener)
"""


class Dropped:
    """Plugins dropped into a folder; `module(name)` is one of them as it was loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def drop(self, name: str, text: str, beginning: str = BEGINNING) -> None:
        dropin(self.folder, **{name: beginning + text})

    def module(self, name: str) -> Any:
        return sys.modules[f"edgevoice_dropin_{name}"]

    def house(self, broker: Broker, lightning: LightningServer, **sections: Any) -> House:
        options = {"lightning": {"base_url": lightning.url}, **sections}
        return House(broker, plugins_dir=str(self.folder), **options)
