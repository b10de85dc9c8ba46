"""An observer that raises starves nobody."""

from datetime import UTC, datetime
from types import SimpleNamespace

from edgevoice import Observer, Rejection, SpeakerState
from edgevoice.observers import Observers
from edgevoice.scheduler.outcomes import build_event
from tests.support.scheduler import Kitchen


def queued():
    """Return an event."""
    nothing = SimpleNamespace(
        decision=None, transport=None, cached=False, attempts=(), requested_at=None, first_audio_at=None
    )
    kitchen = Kitchen()
    kitchen.say("a")
    return build_event(kitchen.emitted[0], "kitchen", nothing, datetime.now(UTC))


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
    event, origin = queued(), object()
    rejection = Rejection(node="n", at=datetime.now(UTC), target=None, reason="r")
    observers.on_event(event, origin)
    observers.on_state("kitchen", SpeakerState())
    observers.on_rejected(rejection, None)
    assert first.told == last.told == [(event, origin), ("kitchen", SpeakerState()), (rejection, None)]
    assert caplog.text.count("observer broken failed; the others go on") == 3
