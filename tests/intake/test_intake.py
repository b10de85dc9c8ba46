"""Every command is accepted or told why not; nothing a source hands over ever raises."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice import InvalidCommand, LiveChunk, Observer, Say, Stop, Urgency
from edgevoice.commands import Acknowledge, Digest, Replay, SetSetting
from edgevoice.intake.intake import Intake, _seconds_until
from edgevoice.intake.rate_limit import RateLimiter, RateLimits
from edgevoice.intake.replay import MAX_REPLAYABLE
from edgevoice.observers import Observers
from edgevoice.token_bucket import Rate
from tests.support.announcements import NoSynthesis
from tests.support.examples import examples


class Remembering(Observer):
    def __init__(self):
        self.rejected = []

    def on_rejected(self, rejection, origin):
        self.rejected.append((rejection, origin))


class Ear:
    """In place of a speaker: what it was asked to do."""

    def __init__(self, name):
        self.name = name
        self.said, self.stopped, self.refused, self.acknowledged, self.digests = [], [], [], [], 0

    def add(self, speech):
        self.said.append(speech.announcement)

    def refuse(self, speech, step, reason):
        self.refused.append((speech.announcement.id, str(step), reason))

    def stop(self, what):
        self.stopped.append(what)

    def acknowledge(self, what):
        self.acknowledged.append(what)

    def read_digest(self):
        self.digests += 1


@pytest.fixture
async def house():
    return make_house()


def make_house(rates=None):
    kitchen, bath, observer, kept = Ear("kitchen"), Ear("bath"), Remembering(), []
    intake = Intake(
        "attic",
        {"all": [kitchen, bath], "kitchen": [kitchen], "bath": [bath]},
        NoSynthesis(),
        Observers({"o": observer}),
        storms=RateLimiter(rates or RateLimits()),
        keep=lambda announcement, command: kept.append((announcement.id, command)),
        chimes=["ding"],
        language="en",
    )
    return SimpleNamespace(intake=intake, kitchen=kitchen, bath=bath, rejected=observer.rejected, kept=kept)


async def test_an_announcement_reaches_each_speaker_that_answers_to_its_target(house):
    origin = object()
    house.intake.submit(Say(target="all", payload=b"Hello", origin=origin))
    house.intake.submit(Say(target="bath", payload=b"Soap"))
    assert [said.text for said in house.kitchen.said] == ["Hello"]
    assert [said.text for said in house.bath.said] == ["Hello", "Soap"]
    assert house.kitchen.said[0] is house.bath.said[0]
    assert house.kitchen.said[0].origin is origin
    assert not house.rejected


async def test_what_the_payload_says_is_in_the_announcement(house):
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


async def test_what_is_refused_is_told_with_reason_key_and_origin(house):
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
    assert (second.key, second.allowed) == ("target", "all, kitchen, bath")
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


async def test_an_alert_goes_on_to_further_targets(house):
    payload = b'{"text": "a", "id": "x", "repeat": {"escalate": {"after": 1, "to": ["bath", "nowhere"]}}}'
    house.intake.submit(Say(target="kitchen", payload=payload))
    house.intake.escalate(house.kitchen.said[0])
    assert [(said.id, said.target) for said in house.bath.said] == [("x", "bath")]


@pytest.mark.parametrize("payload", [b"", b" PRESS ", b"a1"])
async def test_commands_reach_the_speakers(house, payload):
    what = "" if b"P" in payload else payload.decode()
    for command in (Stop, Acknowledge, Digest):
        house.intake.submit(command(target="all", payload=payload))
    for ear in (house.kitchen, house.bath):
        assert (ear.stopped, ear.acknowledged, ear.digests) == ([what], [what], 1)


async def test_a_switch_that_is_none_is_rejected(house):
    house.intake.submit(SetSetting(target="kitchen", setting="mute", payload=b"maybe"))
    assert house.rejected[0][0].key == "mute"


async def test_what_was_said_is_said_again(house):
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
async def test_a_number_of_replays_that_is_none_is_rejected(house, payload):
    house.intake.submit(Replay(target="kitchen", payload=payload))
    assert house.rejected[0][0].key == "replay"


async def test_the_urgent_are_acknowledged_once_they_are_kept_and_the_others_at_once(house):
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
    assert [command.urgency for _, command in house.kept] == ["high", "critical"]


async def test_what_is_too_much_is_suppressed_and_acknowledged():
    house, acknowledged = make_house(RateLimits(total=Rate(1, 1))), []
    for name in ("one", "two"):
        payload = f'{{"text": "a", "id": "{name}"}}'.encode()
        house.intake.submit(Say(target="all", payload=payload, acknowledge=lambda: acknowledged.append(1)))
    assert [said.id for said in house.kitchen.said] == ["one"]
    assert house.kitchen.refused == house.bath.refused == [("two", "suppressed", "rate")]
    assert len(acknowledged) == 2
    house.intake.close()


async def test_a_rejection_names_the_id_that_was_sent(house):
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "", "id": "a1"}'))
    house.intake.submit(Say(target="kitchen", payload=b'{"text": "", "id": "not allowed"}'))
    house.intake.submit(Say(target="kitchen", payload=b"{"))
    assert [rejection.id for rejection, _ in house.rejected] == ["a1", None, None]


async def test_a_part_that_breaks_is_a_rejection_and_not_an_exception(house, caplog):
    def broken(_speech):
        raise ZeroDivisionError

    house.kitchen.add = broken
    house.intake.submit(Say(target="kitchen", payload=b"a"))
    assert "internal error" in house.rejected[0][0].reason
    assert "ZeroDivisionError" in caplog.text


@examples(200)
@given(
    payload=st.binary(max_size=60) | st.sampled_from([b'{"text": "a"}', b'{"end": true}', b""]),
    target=st.sampled_from(["all", "kitchen", "nobody", "\ud800"]),
    name=st.sampled_from(["s", "s", "t"]) | st.text(max_size=5),
)
def test_whatever_a_source_hands_over_is_accepted_or_rejected(payload, target, name):
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
