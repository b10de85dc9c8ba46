"""The measurement of a message, from its publication to its first sound."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.rig.ear import LOUD
from bench.server.knobs import tagged

if TYPE_CHECKING:
    from bench.rig.contestants import Voice
    from bench.rig.ear import Ear
    from bench.rig.rig import Rig

SOUNDS_WITHIN = 12.0
#: Speech begins at this level; unlike a tone, it does not begin at its loudest.
SOFT = 0.02
SETTLES_S = 0.1


@dataclass(frozen=True)
class Heard:
    """Seconds from the publication to the first sound, and how many of them were the server's own."""

    total: float
    own: float

    @property
    def added(self) -> float:
        return self.total - self.own

    @property
    def added_ms(self) -> float:
        return self.added * 1000


def hear(rig: Rig, voice: Voice, ms: int = 150, *, ear: Ear | None = None) -> Heard | None:
    """Have a new message spoken; None if it makes no sound or sounds without a request."""
    number = next(rig.numbers)
    total = hear_text(rig, voice, tagged(number, ms) if voice.uses_server else "Hello there.", ear=ear)
    if total is None:
        return None
    if not voice.uses_server:
        return Heard(total, 0.0)
    record = rig.server.record(number)
    return Heard(total, record.own) if record is not None else None


def hear_text(rig: Rig, voice: Voice, text: str, *, ear: Ear | None = None) -> float | None:
    """Have a text said; the seconds from its publication to its first sound, None if it does not sound."""
    ear = ear or rig.ear
    ear.wait_for_silence()
    published = rig.publisher.publish(voice.topic, voice.payload(text))
    position = ear.first_sound(ear.position(published), SOUNDS_WITHIN, LOUD if voice.uses_server else SOFT)
    if position is None:
        return None
    time.sleep(SETTLES_S)  # for blocks after it, which say when it was
    ear.wait_for_silence()
    return ear.moment(position) - published
