"""What is told of one announcement on one speaker: every key of the contract, in milliseconds of its arrival."""

import json

import msgspec

from edgevoice import EventType, Urgency
from edgevoice.outcome import Attempt
from edgevoice.routing import Decision
from edgevoice.speaker.turn import Turn
from edgevoice.synthesis.live import LiveText
from tests.support.announcements import NoSynthesis, announcement, turn

KEYS = {
    "event_type", "id", "speaker", "target", "at", "urgency", "tag", "reason", "repeated", "warnings",
    "transport", "why", "cached", "attempts", "ms", "spoken_s", "volume",
}  # fmt: skip


async def test_an_outcome_has_all_keys_of_the_contract_also_where_nothing_is_known():
    told = json.loads(msgspec.json.encode(turn(7, tag="door").event(EventType.EXPIRED, "ttl")))
    assert told.keys() >= KEYS
    assert told["ms"] == {
        "queued": None,
        "first_audio": None,
        "first_sound": None,
        "first_speech": None,
        "total": None,
    }
    assert (told["id"], told["tag"], told["reason"], told["spoken_s"]) == ("a7", "door", "ttl", None)
    assert told["volume"] == 60


async def test_an_outcome_tells_how_it_came_to_be():
    speech = NoSynthesis().speech(announcement(Urgency.HIGH, warnings=("volume: out of range",)))
    said = Turn(speech, "kitchen", 1, 60)
    speech.decision, speech.transport = Decision(("websocket", "http"), "urgency is high"), "http"
    speech.attempts.append(Attempt("websocket", "refused: 429"))
    speech.requested_at, speech.first_audio_at = 100.002, 100.180
    said.first_sound = said.first_speech = 100.191
    said.done = 103.4
    said.heard(74_400)
    told = json.loads(msgspec.json.encode(said.event(EventType.FINISHED)))
    assert told["ms"] == {
        "queued": 2,
        "first_audio": 180,
        "first_sound": 191,
        "first_speech": 191,
        "total": 3400,
    }
    assert told["spoken_s"] == 3.1
    assert told["attempts"] == [{"transport": "websocket", "error": "refused: 429"}]
    assert (told["transport"], told["why"]) == ("http", "urgency is high")
    assert told["warnings"] == ["volume: out of range"]
    assert "Hello" not in json.dumps(told)


async def test_cut_again_before_anything_more_was_heard_it_is_where_it_has_to_go_on_already():
    said = turn()
    said.sound(100.0)
    said.heard(72_000)
    said.interrupt(1, 103.0)
    assert said.cut
    said.resume(48_000)
    said.interrupt(2, 104.0)
    assert (said.cut, said.position) == (False, 48_000)
    said.heard(50_000)
    said.interrupt(3, 105.0)
    assert (said.cut, said.event(EventType.EXPIRED).spoken_s) == (True, 3.0)


async def test_live_text_that_fell_silent_is_not_rewound():
    said = turn()
    said.sound(100.0)
    said.heard(72_000)
    said.parked = True
    said.interrupt(1, 103.0)
    assert (said.cut, said.resumed_at) == (False, 72_000)


async def test_its_ttl_stands_still_while_it_is_held():
    said = turn(ttl=10)
    said.hold(104.0)
    said.release(1000.0)
    assert said.deadline == 1006.0
    said.sound(1001.0)
    said.hold(1002.0)
    said.release(2000.0)
    assert said.deadline is None


async def test_the_next_round_has_no_deadline_and_begins_anew():
    said = turn(ttl=10)
    said.sound(100.0)
    said.heard(48_000)
    said.again(130.0)
    assert (said.due, said.deadline, said.position, said.round, said.sounds) == (130.0, None, 0, 2, False)
    assert said.heard_s == 2.0


async def test_the_warnings_of_a_live_text_are_told_with_its_own():
    live = LiveText()
    speech = NoSynthesis().speech(announcement(live=live, warnings=("a",)))
    live.warnings += ("b",)
    assert Turn(speech, "kitchen", 1, 60).event(EventType.FINISHED).warnings == ("a", "b")


async def test_a_speech_that_nobody_needs_any_more_is_given_up_and_its_clip_closed():
    synthesis = NoSynthesis()
    speech = synthesis.speech(announcement())
    Turn(speech, "kitchen", 1, 60)
    Turn(speech, "bath", 1, 60)
    speech.request()
    speech.request()
    assert synthesis.filled == [speech]
    speech.leave()
    assert not synthesis.given_up
    speech.leave()
    assert synthesis.given_up == [speech]
    assert speech.clip.ended
