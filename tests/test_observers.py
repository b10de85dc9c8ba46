"""An observer that raises does not starve the others."""

from datetime import UTC, datetime

import pytest

from edgevoice import EventType, Observer, Rejection, SpeakerState
from edgevoice.observers import Observers
from tests.support.stores import outcome


class Heard(Observer):
    def __init__(self):
        self.told = []

    def on_event(self, event, origin):
        self.told.append((event, origin))

    def on_state(self, speaker, state):
        self.told.append((speaker, state))

    def on_rejected(self, rejection, origin):
        self.told.append((rejection, origin))


class Raises(Heard):
    def on_event(self, event, origin):
        raise RuntimeError("no ears")

    on_state = on_rejected = on_event


async def test_all_are_told_whatever_one_of_them_does(caplog):
    first, last = Heard(), Heard()
    observers = Observers({"first": first, "broken": Raises(), "last": last})
    event, origin = outcome("a1", event_type=EventType.QUEUED), object()
    rejection = Rejection(node="n", at=datetime.now(UTC), target=None, reason="r")
    observers.on_event(event, origin)
    observers.on_state("kitchen", SpeakerState())
    observers.on_rejected(rejection, None)
    assert first.told == last.told == [(event, origin), ("kitchen", SpeakerState()), (rejection, None)]
    assert caplog.text.count("observer broken failed; the others run on") == 3


class Durable(Heard):
    durable = True


@pytest.mark.parametrize("name", ["plain", "gone"])
def test_only_a_durable_observer_is_told_again(name):
    plain, durable = Heard(), Durable()
    observers = Observers({"plain": plain, "durable": durable})
    event = outcome("a1")
    assert observers.durable == ("durable",)
    assert not observers.redeliver(name, event)
    assert observers.redeliver("durable", event)
    assert (plain.told, durable.told) == ([], [(event, None)])
