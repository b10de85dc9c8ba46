"""A critical passage is waited for less, but only from the moment at which somebody is silent until it is there."""

import pytest

from edgevoice import Urgency
from edgevoice.config.options import Core, Lightning
from edgevoice.synthesis.asking import Means, Passage
from edgevoice.synthesis.cues import NO_CUES
from edgevoice.synthesis.gate import Gate, Need
from edgevoice.synthesis.parts import TextPart
from edgevoice.synthesis.patience import STALLED, cues_of, to_first, to_next
from tests.support.announcements import NoSynthesis, announcement

BOTH = ["websocket", "local"]


def passage_of(need, urgency=Urgency.CRITICAL):
    speech = NoSynthesis().speech(announcement(urgency, text="Fire."))
    speech.begin(need=need)
    means = Means({}, Core(lightning=Lightning()), Gate(1), fault=lambda _part, _what: None)
    return Passage(means, speech, TextPart(speech.announcement, "Fire.", 0, 5), speech.clip)


async def test_what_is_made_ahead_has_no_cues_and_the_patience_of_what_is_less_urgent():
    ahead, high = passage_of(Need.SOON), passage_of(Need.NOW, Urgency.HIGH)
    assert cues_of(ahead, BOTH, 100.0) is NO_CUES
    assert to_first(ahead) == to_first(high)
    assert to_next(ahead, 100.0, alone=False) == STALLED


async def test_the_deadline_counts_from_the_need_whatever_was_waited_for_since():
    passage = passage_of(Need.SOON)
    passage.speech.begin(need=Need.NOW)
    needed = passage.speech.awaited_at
    assert cues_of(passage, BOTH, needed + 0.4).sound == needed + passage.means.core.critical_deadline


async def test_what_was_made_ahead_is_heard_from_the_need_on():
    passage = passage_of(Need.SOON)
    await passage.clip.append(bytes(2 * passage.clip.rate))
    passage.speech.first_audio_at = 1.0
    passage.speech.begin(need=Need.NOW)
    needed = passage.speech.awaited_at
    assert passage.speech.dry_at == needed + 1
    assert to_next(passage, needed, alone=False) == pytest.approx(1 + passage.means.core.critical_deadline)


async def test_where_nobody_could_take_over_there_are_no_cues():
    assert cues_of(passage_of(Need.NOW), ["websocket"], 100.0) is NO_CUES
