"""Every command is accepted or told why not; nothing a source hands over ever raises.

Length: every kind of command goes through the same intake.
"""

import asyncio
import dataclasses
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice import InvalidCommand, LiveChunk, Observer, Say, Stop, Urgency
from edgevoice.commands import Acknowledge, Digest, Replay, SetSetting
from edgevoice.intake.intake import MAX_REPLAYABLE, Intake, press_as_empty
from edgevoice.intake.payload import _seconds_until, build_announcement, parse_payload, payload_of
from edgevoice.intake.rate_limit import RateLimiter
from edgevoice.scheduler.actions import Admission
from edgevoice.scheduler.policy import SpeakerPolicy, SpeakerSettings
from edgevoice.storage.recorder import Recorder
from tests.support.announcements import NoSynthesis, limits, rate
from tests.support.examples import examples
from tests.support.stores import pending


class Remembering(Observer):
    def __init__(self):
        self.rejected, self.events = [], []

    def on_event(self, event, origin):
        self.events.append(event)

    def on_rejected(self, rejection, origin):
        self.rejected.append((rejection, origin))


class Ear:
    """In place of a speaker: what it was asked to do."""

    def __init__(self, name):
        self.name = name
        self.said, self.stopped, self.refused, self.acknowledged, self.digests = [], [], [], [], 0
        self.deadlines = {}
        self.known = set()
        self.admits = Admission.QUEUED

    def admission(self, announcement):
        return self.admits

    def submit(self, job, *, deadline=None, held_since=None):
        self.said.append(job.announcement)
        self.deadlines[job.announcement.id] = (deadline, held_since)

    def refuse(self, job, reason):
        self.refused.append((job.announcement.id, reason))

    def stop(self, what):
        self.stopped.append(what)
        return what in self.known

    def acknowledge(self, what):
        self.acknowledged.append(what)
        return what in self.known

    def read_digest(self):
        self.digests += 1

    def apply_setting(self, name, value):
        SpeakerSettings(SpeakerPolicy(), 50, datetime.now).apply(name, value, 0.0)


@pytest.fixture
async def house():
    return make_house()


def make_house(rates=None):
    kitchen, bath, observer, kept = Ear("kitchen"), Ear("bath"), Remembering(), []

    def persist(announcement, payload, speakers):
        kept.append(SimpleNamespace(announcement=announcement, payload=payload, speakers=speakers))
        kept[-1].done = asyncio.get_running_loop().create_future()
        return kept[-1].done

    escalations = asyncio.Queue()
    intake = Intake(
        "attic",
        {"all": [kitchen, bath], "kitchen": [kitchen], "bath": [bath], "upstairs": [bath]},
        NoSynthesis(),
        Recorder(Mock(), {"o": observer}),
        escalations=escalations,
        rate_limiter=RateLimiter(rates or limits()),
        persist=persist,
        chimes=["ding"],
        language="en",
        local_now=lambda: datetime.now(UTC),
    )
    return SimpleNamespace(
        intake=intake,
        kitchen=kitchen,
        bath=bath,
        rejected=observer.rejected,
        events=observer.events,
        kept=kept,
        escalations=escalations,
    )


async def test_an_announcement_reaches_each_speaker_that_answers_to_its_target(house):
    origin = object()
    house.intake.submit(Say(target="all", payload=b"Hello", origin=origin))
    house.intake.submit(Say(target="bath", payload=b"Soap"))
    assert [said.text for said in house.kitchen.said] == ["Hello"]
    assert [said.text for said in house.bath.said] == ["Hello", "Soap"]
    assert house.kitchen.said[0] is house.bath.said[0]
    assert house.kitchen.said[0].origin is origin
    assert not house.rejected


async def test_payload_fields_reach_the_announcement(house):
    payload = b'{"text": "a", "id": "i", "tag": "t", "volume": 30, "speed": 2, "private": true, "transport": "http", "not_before": 7}'
    house.intake.submit(Say(target="kitchen", payload=payload, urgency="high", expires=99.0))
    (said,) = house.kitchen.said
    assert (said.id, said.tag, said.volume, said.speed, said.private) == ("i", "t", 30, 2, True)
    assert (said.transport, said.not_before, said.ttl, said.urgency) == ("http", 7, 99, Urgency.HIGH)
    assert said.expires == pytest.approx(said.received_monotonic + 106)


@pytest.mark.parametrize(
    ("payload", "expires", "ttl"),
    [
        (b"a", None, 300),
        (b"a", 10, 10),
        (b"a", 0, 0),
        (b'{"text": "a", "ttl": 50}', 60, 50),
        (b'{"text": "a", "ttl": 50}', 40, 40),
    ],
)
async def test_the_shorter_of_ttl_and_expiry_wins(house, payload, expires, ttl):
    house.intake.submit(Say(target="kitchen", payload=payload, expires=expires))
    assert house.kitchen.said[0].ttl == ttl


async def test_ids_are_made_up_and_differ(house):
    for _ in range(3):
        house.intake.submit(Say(target="kitchen", payload=b"a"))
    assert len({said.id for said in house.kitchen.said}) == 3


async def test_rejection_has_reason_key_and_origin(house):
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "a", "volume": 900}', origin="o"))
    house.intake.submit(Say(target="attic", payload=b"a"))
    house.intake.submit(InvalidCommand(reason="retained", key="k", allowed="live ones", target="kitchen"))
    house.intake.submit(LiveChunk(target="kitchen", id="a b", payload=b"a"))
    first, second, third, fourth = [rejection for rejection, _ in house.rejected]
    assert (first.key, first.target, first.node, first.event_type) == (
        "volume",
        "kitchen",
        "attic",
        "rejected",
    )
    assert house.rejected[0][1] == "o"
    assert (second.key, second.allowed) == ("target", "all, kitchen, bath, upstairs")
    assert (third.reason, third.key, third.allowed) == ("retained", "k", "live ones")
    assert (fourth.key, fourth.id) == ("id", "a b")
    assert not house.kitchen.said


async def test_live_text_begins_with_its_first_piece(house):
    house.intake.submit(LiveChunk(target="kitchen", id="s", payload=b'{"urgency": "high", "text": "Hel"}'))
    house.intake.submit(LiveChunk(target="kitchen", id="s", payload=b"lo"))
    house.intake.submit(LiveChunk(target="kitchen", id="s", payload=b""))
    (said,) = house.kitchen.said
    assert (said.id, said.text, said.live.text, said.live.ended) == ("s", None, "Hello", True)
    assert said.urgency is Urgency.HIGH


@pytest.mark.parametrize(
    ("payload", "what"), [(b"", ""), (b"PRESS", ""), (b" all\n", "all"), (b"door", "door")]
)
async def test_stop_reaches_the_speakers(house, payload, what):
    house.intake.submit(Stop(target="all", payload=payload))
    assert house.kitchen.stopped == house.bath.stopped == [what]


async def test_a_stop_that_is_no_text_is_refused(house):
    house.intake.submit(Stop(target="all", payload=b"\xff"))
    assert not house.kitchen.stopped
    assert len(house.rejected) == 1


async def test_after_close_nothing_is_accepted_and_live_texts_end(house):
    house.intake.submit(LiveChunk(target="kitchen", id="s", payload=b"a"))
    house.intake.close()
    house.intake.submit(Say(target="kitchen", payload=b"a"))
    assert house.kitchen.said[0].live.ended
    assert len(house.kitchen.said) == 1
    assert house.rejected[0][0].reason == "shutting down"


async def test_how_an_alert_insists_is_read(house):
    payload = (
        b'{"text": "a", "repeat": {"until_ack": true, "every": 10, "escalate": {"after": 2, "to": ["bath"]}}}'
    )
    house.intake.submit(Say(target="kitchen", payload=payload))
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "b", "repeat": {}}'))
    house.intake.submit(Say(target="kitchen", payload=b"c"))
    until_acknowledged, thrice, once = (said.repeat for said in house.kitchen.said)
    assert (until_acknowledged.until_ack, until_acknowledged.every_s) == (True, 10)
    assert (until_acknowledged.escalate_after, until_acknowledged.escalate_to) == (2, ("bath",))
    assert (thrice.times, thrice.every_s, thrice.until_ack) == (3, 30, False)
    assert once is None


async def test_an_escalated_alert_is_submitted_and_stored_like_any_other(house):
    payload = b'{"text": "a", "id": "x", "urgency": "critical", "repeat": {"until_ack": true, "escalate": {"after": 1, "to": ["bath", "nowhere"]}}}'
    house.intake.submit(Say(target="kitchen", payload=payload))
    house.escalations.put_nowait(house.kitchen.said[0])
    running = asyncio.create_task(house.intake.run())
    await asyncio.sleep(0)
    running.cancel()
    assert [(said.id, said.target) for said in house.bath.said] == [("x", "bath")]
    stored = house.kept[1]
    assert (stored.announcement.target, stored.speakers) == ("bath", ["bath"])
    rebuilt = made(stored.payload)
    assert rebuilt.repeat == house.kitchen.said[0].repeat


def made(payload):
    """The announcement that a payload makes."""
    say = Say(target="all", payload=payload)
    return build_announcement(
        say, parse_payload(payload), received_monotonic=1.0, local_now=datetime.now(UTC)
    )


KEYS = {
    "text": "Leak.",
    "id": "x",
    "urgency": "high",
    "tag": "t",
    "ttl": 30,
    "voice": "v",
    "language": "de",
    "speed": 1.5,
    "volume": 40,
    "chime": "ding",
    "transport": "http",
    "repeat": {"times": 2, "every": 7, "escalate": {"after": 2, "to": ["bath"]}},
    "resolves": True,
}


@pytest.mark.parametrize("keys", [{"text": "a", "id": "x"}, KEYS, {"text": "a", "id": "x", "repeat": {}}])
def test_the_stored_payload_makes_the_same_announcement(keys):
    before = made(msgspec.json.encode(keys))
    after = made(payload_of(before))
    for field in dataclasses.fields(before):
        if field.name != "received_at":
            assert getattr(after, field.name) == getattr(before, field.name), field.name


def stored(speaker="kitchen", expires=100.0, **more):
    now = asyncio.get_running_loop().time()
    return pending("x", speaker, now, payload=b"Leak.", expires=now + expires, **more)


async def test_a_stored_announcement_is_restored_once_for_all_its_speakers(house):
    now = asyncio.get_running_loop().time()
    rows = [
        stored("kitchen", 400.0, received=now - 60, due=now + 100),
        stored("bath", 500.0, received=now - 60, due=now + 100, held_since=now - 20),
        stored("gone", 1.0),
    ]
    assert house.intake.restore(rows) == ["kitchen", "bath"]
    assert house.kitchen.said[0] is house.bath.said[0]
    (said,) = house.kitchen.said
    assert (said.id, said.repeated, said.urgency) == ("x", True, Urgency.HIGH)
    assert said.due == pytest.approx(now + 100)
    assert said.received_monotonic == now - 60
    assert (datetime.now(UTC) - said.received_at).total_seconds() == pytest.approx(60, abs=5)
    assert house.kitchen.deadlines["x"] == (rows[0].expires, None)
    assert house.bath.deadlines["x"] == (rows[1].expires, now - 20)


async def test_unreadable_payload_is_restored_on_no_speaker(house):
    assert house.intake.restore([msgspec.structs.replace(stored(), payload=b"{")]) == []


async def test_a_redelivery_gets_the_id_of_what_was_restored_once(house):
    house.intake.restore([stored()])
    redelivered = Say(target="all", payload=b"Leak.", urgency="high", redelivered=True)
    house.intake.submit(redelivered)
    house.intake.submit(redelivered)
    ids = [said.id for said in house.kitchen.said]
    assert ids[:2] == ["x", "x"]
    assert ids[2] != "x"


@pytest.mark.parametrize("payload", [b"", b" PRESS ", b"a1"])
async def test_commands_reach_the_speakers(house, payload):
    what = "" if b"P" in payload else payload.decode()
    for command in (Stop, Acknowledge, Digest):
        house.intake.submit(command(target="all", payload=payload))
    for ear in (house.kitchen, house.bath):
        assert (ear.stopped, ear.acknowledged, ear.digests) == ([what], [what], 1)


@pytest.mark.parametrize("command", [Stop, Acknowledge])
async def test_command_for_a_speaker_that_hits_nothing_is_rejected(house, command):
    house.intake.submit(command(target="kitchen", payload=b"a1", origin="o"))
    ((rejection, origin),) = house.rejected
    assert (rejection.key, rejection.target, origin) == ("payload", "kitchen", "o")
    house.kitchen.known.add("a1")
    house.intake.submit(command(target="kitchen", payload=b"a1"))
    house.intake.submit(command(target="kitchen", payload=b"PRESS"))
    assert len(house.rejected) == 1


@pytest.mark.parametrize("command", [Stop, Acknowledge])
async def test_command_for_all_or_a_group_is_not_rejected(house, command):
    """Another node may have what it names."""
    for target in ("all", "upstairs"):
        house.intake.submit(command(target=target, payload=b"a1"))
    assert not house.rejected


async def test_stop_all_that_finds_nothing_is_not_rejected(house):
    house.intake.submit(Stop(target="kitchen", payload=b"all"))
    assert not house.rejected


async def test_unknown_switch_is_rejected(house):
    house.intake.submit(SetSetting(target="kitchen", setting="mute", payload=b"maybe"))
    assert house.rejected[0][0].key == "mute"


async def test_replay_repeats_announcements(house):
    for number in range(3):
        house.intake.submit(Say(target="kitchen", payload=f"Number {number}".encode()))
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "Secret", "private": true}'))
    house.intake.submit(Say(target="bath", payload=b"Elsewhere"))
    house.intake.submit(Replay(target="kitchen", payload=b"2"))
    assert [said.text for said in house.kitchen.said[4:]] == ["Number 1", "Number 2"]
    assert len({said.id for said in house.kitchen.said}) == 6
    house.intake.submit(Replay(target="kitchen", payload=b""))
    assert house.kitchen.said[-1].text == "Number 2"


@pytest.mark.parametrize("payload", [b"0", b"-1", b"many", str(MAX_REPLAYABLE + 1).encode(), "²".encode()])
async def test_invalid_replay_count_is_rejected(house, payload):
    house.intake.submit(Replay(target="kitchen", payload=payload))
    assert house.rejected[0][0].key == "replay"


async def test_the_urgent_are_acknowledged_once_they_are_stored_and_the_others_at_once(house):
    acknowledged = []
    for urgency in ("low", "normal", "high", "critical"):
        command = Say(
            target="all",
            payload=b"a",
            urgency=urgency,
            acknowledge=lambda urgency=urgency: acknowledged.append(urgency),
        )
        house.intake.submit(command)
    house.intake.submit(Say(target="all", payload=b"", acknowledge=lambda: acknowledged.append("refused")))
    assert acknowledged == ["low", "normal", "refused"]
    assert [str(stored.announcement.urgency) for stored in house.kept] == ["high", "critical"]
    assert house.kept[0].speakers == ["kitchen", "bath"]
    house.kept[0].done.set_result(None)
    await asyncio.sleep(0)
    assert acknowledged[3:] == ["high"]


@pytest.mark.parametrize("admission", [Admission.DUPLICATE, Admission.COALESCED])
async def test_unqueued_announcement_is_not_stored(house, admission):
    acknowledged = []
    house.kitchen.admits = house.bath.admits = admission
    acknowledge = partial(acknowledged.append, 1)
    house.intake.submit(Say(target="all", payload=b"a", urgency="critical", acknowledge=acknowledge))
    assert (house.kept, acknowledged) == ([], [1])
    assert len(house.kitchen.said) == 1


async def test_announcement_is_stored_for_speakers_that_queue_it(house):
    house.kitchen.admits = Admission.DUPLICATE
    house.intake.submit(Say(target="all", payload=b"a", urgency="critical"))
    assert house.kept[0].speakers == ["bath"]


async def test_announcement_above_the_rate_is_suppressed_and_acknowledged():
    house, acknowledged = make_house(limits(total=rate(1, 1))), []
    for name in ("one", "two"):
        payload = f'{{"text": "a", "id": "{name}"}}'.encode()
        house.intake.submit(Say(target="all", payload=payload, acknowledge=lambda: acknowledged.append(1)))
    assert [said.id for said in house.kitchen.said] == ["one"]
    assert house.kitchen.refused == house.bath.refused == [("two", "rate")]
    assert len(acknowledged) == 2
    house.intake.close()


@pytest.mark.parametrize("admission", [Admission.DUPLICATE, Admission.COALESCED])
async def test_the_rate_limiter_is_not_asked_for_what_would_not_be_queued(admission):
    house = make_house(limits(per_topic=rate(1, 1), total=rate(1, 1), critical=rate(1, 1)))
    house.kitchen.admits = house.bath.admits = admission
    for _ in range(100):
        house.intake.submit(Say(target="all", payload=b"Water.", urgency="normal"))
    house.kitchen.admits = Admission.QUEUED
    house.intake.submit(Say(target="all", payload=b"Hello."))
    assert house.kitchen.refused == []
    assert len(house.kitchen.said) == len(house.bath.said) == 101
    house.intake.close()


async def test_of_what_is_too_much_a_duplicate_is_told_as_one():
    house = make_house(limits(total=rate(1, 1)))
    house.intake.submit(Say(target="all", payload=b"one"))
    house.bath.admits = Admission.DUPLICATE
    house.intake.submit(Say(target="all", payload=b"two"))
    assert (len(house.kitchen.refused), len(house.bath.refused)) == (1, 0)
    assert len(house.bath.said) == 2
    house.intake.close()


async def test_a_rejection_names_the_id_that_was_sent(house):
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "", "id": "a1"}'))
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "", "id": "not allowed"}'))
    house.intake.submit(Say(target="kitchen", payload=b"{"))
    assert [rejection.id for rejection, _ in house.rejected] == ["a1", None, None]


async def test_internal_error_is_a_rejection(house, caplog):
    def broken(_job):
        raise ZeroDivisionError

    house.kitchen.admission = broken
    house.intake.submit(Say(target="kitchen", payload=b"a"))
    assert "internal error" in house.rejected[0][0].reason
    assert "ZeroDivisionError" in caplog.text


@examples(200)
@given(
    payload=st.binary(max_size=60) | st.sampled_from([b'{"text": "a"}', b'{"end": true}', b""]),
    target=st.sampled_from(["all", "kitchen", "nobody", "\ud800"]),
    name=st.sampled_from(["s", "s", "t"]) | st.text(max_size=5),
)
def test_any_command_is_accepted_or_rejected(payload, target, name):
    async def submit():
        house = make_house()
        for command in (
            Say(target=target, payload=payload, urgency=name),
            LiveChunk(target=target, id=name, payload=payload, is_json=True),
            LiveChunk(target=target, id=name, payload=payload),
            Stop(target=target, payload=payload),
        ):
            house.intake.submit(command)
        house.intake.close()
        assert not any("internal" in rejection.reason for rejection, _ in house.rejected)

    asyncio.run(submit())


def test_a_time_of_day_is_the_next_one_of_the_local_clock():
    now = datetime.now(UTC)
    for minutes in (1, 60, 12 * 60, 23 * 60):
        then = (now + timedelta(minutes=minutes)).astimezone()
        seconds = _seconds_until(then.strftime("%H:%M"), now)
        assert minutes * 60 - 60 < seconds <= minutes * 60
    assert _seconds_until(12.5, now) == 12.5


def test_a_time_of_day_beyond_the_change_of_summer_time_is_what_the_clock_will_show(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        before = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)  # midnight there; an hour longer until the morning
        assert _seconds_until("07:00", before) == 8 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("payload", [b"", b" ", b"PRESS", b"press", b"single\n", b"on", b"ON"])
def test_button_payload_is_empty(payload):
    assert press_as_empty(payload) == ""


@pytest.mark.parametrize("payload", [b"all", b"doorbell", b"once", b"off", b"double"])
def test_other_payload_is_a_word(payload):
    assert press_as_empty(payload) == payload.decode()
