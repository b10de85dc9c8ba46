"""How a turn is said: its chime, its clip from where it stands, and a lost output that is tried again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgevoice import words
from edgevoice.announcement import Urgency
from edgevoice.errors import OutputError
from edgevoice.speaker.interruption import resume_from
from edgevoice.speaker.playing import Playing

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.faults import Faults
    from edgevoice.plugin import Output
    from edgevoice.speaker.chimes import Chimes
    from edgevoice.speaker.presence import SpeakerSettings
    from edgevoice.speaker.turn import Turn
    from edgevoice.synthesis.gate import Priority

RETRY = 1.0
"""Seconds between attempts to have a lost output back."""


class Saying:
    """Says one turn after the other over an output.

    `on_sound` is called when the first sample is handed over, `on_heard` whenever more was heard, `waits`
    tells whether somebody else does.
    """

    def __init__(
        self,
        name: str,
        output: Output,
        presence: SpeakerSettings,
        chimes: Chimes,
        faults: Faults,
    ) -> None:
        self._part = f"speaker {name}"
        self._output = output
        self._presence = presence
        self._chimes = chimes
        self._faults = faults
        self.on_sound: Callable[[], None] = lambda: None
        self.on_heard: Callable[[], None] = lambda: None
        self.waits: Callable[[], bool] = lambda: False

    def prepare(self, turn: Turn, need: Priority, by: float) -> None:
        """Let its speech be made, so that it is there when the turn has the floor: `by` then, it seems."""
        turn.speech.request(self._preface(turn, by), need)

    async def say(self, turn: Turn) -> None:
        """Say a turn, which is prepared, to its end, its error kept with it; to be cancelled in mid-speech.

        Raises:
            OutputError: the output is lost, and did not come back while the turn may wait.
        """
        turn.error = None
        if turn.cut:
            turn.resume(await resume_from(turn))
        limit = turn.deadline
        while True:
            try:
                await self._play(turn)
            except OutputError as error:
                self._faults.set(self._part, str(error))
                limit = _now() + turn.announcement.ttl if limit is None or turn.sounds else limit
                if _now() + RETRY > limit:
                    raise
                await asyncio.sleep(RETRY)
            else:
                self._faults.set(self._part, None)
                return

    async def _play(self, turn: Turn) -> None:
        rate = turn.speech.clip.rate
        fresh = turn.position == 0 and not turn.interrupted
        name = self._presence.chime(turn.announcement) if fresh else None
        playing = Playing(
            turn,
            chime=await self._chime(name, rate) if name else b"",
            ramp=turn.announcement.urgency is Urgency.CRITICAL,
            on_sound=self.on_sound,
            on_heard=self.on_heard,
            waits=self.waits,
        )
        await self._output.play(playing.audio(), rate, playing)
        if turn.error is not None and turn.announcement.urgency is Urgency.CRITICAL and turn.position == 0:
            tone = await asyncio.to_thread(self._chimes.tone, rate)
            await self._output.play(playing.instead(tone), rate, playing)

    async def _chime(self, name: str, rate: int) -> bytes:
        if not self._chimes.is_loaded(name, rate):
            return await asyncio.to_thread(self._chimes.sound, name, rate)
        return self._chimes.sound(name, rate)

    def _preface(self, turn: Turn, now: float) -> Callable[[str], str] | None:
        """How a text that comes late says its age."""
        manners = self._presence.manners
        age, limit = now - turn.announcement.due, manners.say_age
        if limit is None or age < limit:
            return None
        return lambda text: words.with_age(text, age, manners.language)


def _now() -> float:
    return asyncio.get_running_loop().time()
