"""How long a passage is waited for: where it is critical for less, once somebody is silent until it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.routing import LOCAL
from edgevoice.synthesis.cues import NO_CUES, Cues, cues_for
from edgevoice.synthesis.gate import Need
from edgevoice.synthesis.parts import LivePart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgevoice.synthesis.asking import Passage
    from edgevoice.synthesis.speech import Speech

PATIENCE = 60.0
"""Seconds to the first audio where no other transport is left to go to."""
LIVE_DELAY = 5.0
"""Seconds that live text may add to the first audio: the server waits for a sentence's end."""
STALLED = 10.0
"""Seconds without audio in mid-speech after which a transport counts as dead."""


def to_first(passage: Passage) -> float:
    """Seconds to the first audio of a request, where there is another transport to go to."""
    urgency = passage.speech.announcement.urgency
    if urgency is Urgency.CRITICAL and not _is_pressing(passage.speech):
        urgency = Urgency.HIGH
    delay = LIVE_DELAY if isinstance(passage.part, LivePart) else 0
    return passage.means.core.first_audio_within(urgency) + delay


def to_next(passage: Passage, now: float, *, alone: bool) -> float:
    """Seconds to the next audio: what is critical must not fall silent, once the clip has run dry."""
    if alone or not _is_pressing(passage.speech):
        return STALLED
    dry = max(0.0, passage.speech.dry_at - now)
    return min(STALLED, dry + passage.means.core.critical_deadline)


def cues_of(passage: Passage, left: Sequence[str], now: float) -> Cues:
    """The cues of a passage that is begun now, or needed from now on; none where no other transport is left."""
    speech = passage.speech
    if not _is_pressing(speech) or len(left) == 1:
        return NO_CUES
    is_first = speech.text is not None and not passage.clip.frames
    understudy = LOCAL in left and not isinstance(passage.part, LivePart)
    since = speech.dry_at if is_first else now
    return cues_for(since, speech.dry_at, to_first(passage), understudy=understudy)


def _is_pressing(speech: Speech) -> bool:
    return speech.announcement.urgency is Urgency.CRITICAL and speech.need is Need.NOW
