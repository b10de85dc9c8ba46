"""The state and the events of an announcement on one speaker."""

import dataclasses
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec

from edgevoice.announcement import Urgency
from edgevoice.outcome import Attempt, EventType
from edgevoice.playback.speaker import build_event
from edgevoice.scheduler.actions import Emit
from edgevoice.scheduler.queue import Status
from edgevoice.synthesis.routing import Decision
from edgevoice.text.live import LiveText
from tests.support.scheduler import Kitchen, item

KEYS = {
    "event_type", "id", "speaker", "target", "at", "urgency", "tag", "reason", "repeated", "warnings",
    "transport", "why", "cached", "attempts", "ms", "spoken_s", "volume",
}  # fmt: skip
NOTHING = SimpleNamespace(
    decision=None, transport=None, cached=False, attempts=[], requested_at=None, first_audio_at=None
)


def playing(**more):
    one = item(**more)
    one.status = Status.STARTING
    one.start_sounding(100.0)
    return one


def told(one, type_, reason=None, synthesis=NOTHING, **progress):
    action = Emit(one, type_, reason, one.volume, dataclasses.replace(one.progress, **progress))
    return json.loads(msgspec.json.encode(build_event(action, "kitchen", synthesis, datetime.now(UTC))))


def test_an_outcome_has_all_keys_of_the_contract_also_where_nothing_is_known():
    event = told(item(7, tag="door"), EventType.EXPIRED, "ttl")
    assert event.keys() >= KEYS
    assert set(event["ms"].values()) == {None}
    assert event["ms"].keys() == {"queued", "first_audio", "first_sound", "first_speech", "total"}
    assert (event["id"], event["tag"], event["reason"], event["spoken_s"]) == ("a7", "door", "ttl", None)
    assert event["volume"] == 60


def test_an_outcome_tells_how_it_came_to_be():
    synthesis = SimpleNamespace(
        decision=Decision(("websocket", "http"), "urgency is high"),
        transport="http",
        cached=False,
        attempts=[Attempt("websocket", "refused: 429")],
        requested_at=100.002,
        first_audio_at=100.180,
    )
    one = item(urgency=Urgency.HIGH, warnings=("volume: out of range",))
    heard = {"farthest_s": 3.1, "first_sound_at": 100.191, "first_speech_at": 100.191, "ended_at": 103.4}
    event = told(one, EventType.FINISHED, None, synthesis, **heard)
    assert event["ms"] == {
        "queued": 2,
        "first_audio": 180,
        "first_sound": 191,
        "first_speech": 191,
        "total": 3400,
    }
    assert event["spoken_s"] == 3.1
    assert event["attempts"] == [{"transport": "websocket", "error": "refused: 429"}]
    assert (event["transport"], event["why"]) == ("http", "urgency is high")
    assert event["warnings"] == ["volume: out of range"]
    assert "Hello" not in json.dumps(event)


def test_the_scheduler_tells_the_moments_of_the_first_sound_and_the_end():
    kitchen = Kitchen()
    kitchen.say("a")
    kitchen.take(heard=2)
    kitchen.finish()
    emit = kitchen.emitted[-1]
    heard = emit.progress
    assert (heard.spoken_s, heard.first_sound_at, heard.first_speech_at) == (2.0, 1000.0, 1000.0)
    assert heard.ended_at == 1002.0


def test_an_item_cut_again_before_anything_more_was_heard_is_not_rewound_again():
    one = playing()
    one.advance(3.0)
    one.interrupt(1, 103.0)
    assert one.progress.resume_pending
    one.rewind(2.0)
    one.interrupt(2, 104.0)
    assert (one.progress.resume_pending, one.progress.position_s) == (False, 2.0)
    one.advance(2.1)
    one.interrupt(3, 105.0)
    assert (one.progress.resume_pending, one.progress.farthest_s) == (True, 3.0)


def test_live_text_that_fell_silent_is_not_rewound():
    one = playing()
    one.advance(3.0)
    one.progress.waiting_for_text = True
    one.interrupt(1, 103.0)
    assert (one.progress.resume_pending, one.progress.continued_from_s) == (False, 3.0)


def test_the_ttl_stands_still_while_it_is_held():
    one = item(ttl=10)
    one.hold(104.0)
    assert one.expires_at(500.0) == 506.0
    one.release(1000.0)
    assert one.deadline == 1006.0


def test_an_item_that_has_begun_has_no_deadline():
    one = playing(ttl=10)
    one.hold(1002.0)
    one.release(2000.0)
    assert one.deadline is None
    assert one.expires_at(2000.0) == 2010.0


def test_the_next_round_has_no_deadline_and_starts_over():
    one = playing(ttl=10)
    one.advance(2.0)
    one.begin_next_round(130.0)
    progress = one.progress
    assert (one.due, one.deadline, progress.position_s, progress.round) == (130.0, None, 0.0, 2)
    assert (progress.has_begun, progress.heard_s) == (False, 2.0)


def test_the_warnings_of_a_live_text_are_told_with_its_own():
    live = LiveText()
    one = item(live=live, warnings=("a",))
    live.warnings += ("b",)
    assert told(one, EventType.FINISHED)["warnings"] == ["a", "b"]
