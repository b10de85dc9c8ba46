"""Nothing stale: what the ttl counts for on one speaker, and who is given up where too many wait."""

import pytest

from tests.support.scheduler import Kitchen


@pytest.fixture
def kitchen():
    return Kitchen()


# ttl


def test_the_first_sound_must_come_within_the_ttl(kitchen):
    kitchen.say("waits", ttl=10)
    kitchen.say("is made", "high", ttl=10)
    kitchen.take(heard=None)
    assert kitchen.next_wakeup == kitchen.now + 10
    kitchen.wait(9.9)
    assert not kitchen.cut()
    kitchen.wait(0.1)
    assert kitchen.cut()
    assert kitchen.ended("waits") == kitchen.ended("is made") == ("expired", "ttl")


def test_started_item_ignores_ttl(kitchen):
    kitchen.say("long", ttl=1)
    kitchen.take(heard=500)
    kitchen.wait(1)
    assert not kitchen.cut()
    kitchen.finish()
    assert kitchen.ended("long") == ("finished", None)


def test_while_interrupted_it_waits_at_most_its_ttl_again_then_ends_expired_with_spoken_s(kitchen):
    kitchen.say("old", ttl=30)
    kitchen.wait(29)
    kitchen.take(heard=3)
    kitchen.say("alarm", "critical")
    assert kitchen.cut()
    kitchen.take()
    kitchen.wait(29.9)
    assert kitchen.ended("old") is None
    kitchen.wait(0.1)
    assert kitchen.ended("old") == ("expired", "ttl")
    (outcome,) = [event for event in kitchen.emitted if event.type == "expired"]
    assert outcome.progress.spoken_s == 3.0


def test_a_full_queue_gives_up_the_least_urgent_oldest_first():
    kitchen = Kitchen(queue=3)
    for name, urgency in [
        ("n1", "normal"),
        ("l1", "low"),
        ("l2", "low"),
        ("n2", "normal"),
        ("h1", "high"),
        ("n3", "normal"),
    ]:
        kitchen.say(name, urgency)
    assert [kitchen.ended(name) for name in ("l1", "l2", "n1")] == [("suppressed", "overflow")] * 3
    assert kitchen.order() == ["h1", "n2", "n3"]
