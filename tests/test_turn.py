"""What is told of one announcement on one speaker: every key of the contract, in milliseconds of its arrival."""

import json

import msgspec

from edgevoice import Step, Urgency
from edgevoice.live import LiveText
from edgevoice.outcome import Attempt
from edgevoice.routing import Decision
from edgevoice.turn import Turn
from tests.support.announcements import NoSynthesis, announcement, turn

KEYS = {
    "event_type", "id", "speaker", "target", "at", "urgency", "tag", "reason", "repeated", "warnings",
    "transport", "why", "cached", "attempts", "ms", "spoken_s", "volume",
}  # fmt: skip


async def test_an_outcome_has_all_keys_of_the_contract_also_where_nothing_is_known():
    told = json.loads(msgspec.json.encode(turn(7, tag="door").event(Step.EXPIRED, "ttl")))
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
    speech.asked_at, speech.first_audio_at = 100.002, 100.180
    said.first_sound, said.done, said.position = 100.191, 103.4, 74_400
    told = json.loads(msgspec.json.encode(said.event(Step.FINISHED)))
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


async def test_the_warnings_of_a_live_text_are_told_with_its_own():
    live = LiveText()
    speech = NoSynthesis().speech(announcement(live=live, warnings=("a",)))
    live.warnings += ("b",)
    assert Turn(speech, "kitchen", 1, 60).event(Step.FINISHED).warnings == ("a", "b")


async def test_a_speech_that_nobody_needs_any_more_is_given_up_and_its_clip_closed():
    synthesis = NoSynthesis()
    speech = synthesis.speech(announcement())
    Turn(speech, "kitchen", 1, 60)
    Turn(speech, "bath", 1, 60)
    speech.begin()
    speech.begin()
    assert synthesis.filled == [speech]
    speech.leave()
    assert not synthesis.given_up
    speech.leave()
    assert synthesis.given_up == [speech]
    assert speech.clip.ended
