"""Intake with a speaker that breaks: the others still get the announcement, and nothing is left behind."""

import pytest

from edgevoice import Say
from tests.intake.test_intake import make_house
from tests.playback.test_speaker import kitchen
from tests.support import virtual_time
from tests.support.announcements import limits, rate


def broken(*_args, **_keys):
    raise ZeroDivisionError


async def test_broken_speaker_does_not_reject_for_the_others(caplog):
    """Defect 9.21: `rejected` was published although one speaker had accepted."""
    house = make_house()
    house.bath.submit = broken
    house.intake.submit(Say(target="all", payload=b"Leak.", urgency="high"))
    assert [said.text for said in house.kitchen.said] == ["Leak."]
    assert not house.rejected
    assert "ZeroDivisionError" in caplog.text


async def test_first_speaker_breaks_and_the_second_still_speaks():
    house = make_house()
    house.kitchen.submit = broken
    house.intake.submit(Say(target="all", payload=b"Leak."))
    assert [said.text for said in house.bath.said] == ["Leak."]
    assert not house.rejected


async def test_announcement_fails_on_each_broken_speaker_and_leaves_nothing():
    """Defect 9.21: the job was counted as used forever."""
    house = make_house()
    house.kitchen.submit = house.bath.submit = broken
    house.intake.submit(Say(target="all", payload=b'{"text": "Leak.", "private": true, "tag": "leak"}'))
    assert not house.rejected
    assert [(event.event_type, event.speaker, event.tag) for event in house.events] == [
        ("failed", "kitchen", "leak"),
        ("failed", "bath", "leak"),
    ]
    [job] = house.intake._synthesis.speeches
    assert job.clip.is_closed


async def test_broken_speaker_does_not_reject_a_suppressed_announcement():
    house = make_house(limits(total=rate(1, 1)))
    house.intake.submit(Say(target="all", payload=b"one"))
    house.bath.refuse = broken
    house.intake.submit(Say(target="all", payload=b"two"))
    assert [reason for _, reason in house.kitchen.refused] == ["rate"]
    assert not house.rejected
    assert house.intake._synthesis.speeches[-1].clip.is_closed
    house.intake.close()


def test_speaker_that_breaks_on_submit_lets_go_of_the_job(monkeypatch):
    async def main():
        async with kitchen() as house:
            monkeypatch.setattr("edgevoice.scheduler.scheduler.Scheduler.submit", broken)
            with pytest.raises(ZeroDivisionError):
                house.say("Leak.")
            [job] = house.synthesis.speeches
            assert job.clip.is_closed

    virtual_time.run(main())


async def test_rates_are_by_topic_and_not_by_target():
    """Defect 9.3: all topics of a target shared one rate."""
    house = make_house(limits(per_topic=rate(1, 1)))
    for number, topic in enumerate(("home/a", "home/a", "home/b")):
        house.intake.submit(Say(target="kitchen", payload=f"Number {number}.".encode(), topic=topic))
    assert [said.text for said in house.kitchen.said] == ["Number 0.", "Number 2."]
    house.intake.close()
