"""A journal whose clocks can be set and whose faults are written down, and what one tells it."""

from edgevoice import Urgency
from edgevoice.journal.journal import Journal, Kept


class Clocks:
    """A wall clock that can be set, and a monotonic one that cannot."""

    def __init__(self):
        self.wall, self.monotonic = 1_800_000_000.0, 5000.0

    def advance(self, seconds):
        self.wall += seconds
        self.monotonic += seconds


class Faults(list):
    """Every sentence that was told, and None where it was taken back."""

    def __call__(self, part, sentence):
        assert part == "journal"
        self.append(sentence)

    @property
    def now(self):
        return self[-1] if self else None


class Rig:
    """A folder, two clocks, and the faults of every journal that was entered in it."""

    def __init__(self, folder):
        self.folder = folder
        self.clocks = Clocks()
        self.faults = Faults()

    def enter(self, folder=None):
        return Journal(
            folder or self.folder,
            fault=self.faults,
            now=lambda: self.clocks.wall,
            monotonic=lambda: self.clocks.monotonic,
        )


def kept(
    name,
    clocks=None,
    *,
    speakers=("kitchen",),
    urgency=Urgency.HIGH,
    ttl=600.0,
    payload=b"Fire!",
    private=False,
):
    at = clocks.wall if clocks else 1_800_000_000.0
    return Kept(
        id=name,
        target="all",
        payload=payload,
        urgency=urgency,
        at=at,
        ttl=ttl,
        speakers=tuple(speakers),
        private=private,
    )


def outcome(name, speaker="kitchen", event_type="finished", urgency=Urgency.HIGH):
    """As published, with all its keys."""
    return {
        "event_type": event_type,
        "id": name,
        "speaker": speaker,
        "target": "downstairs",
        "at": "2026-11-22T18:04:05.123+00:00",
        "urgency": str(urgency),
        "tag": None,
        "reason": None,
        "repeated": False,
        "warnings": [],
        "transport": "http_stream",
        "why": "longer than 140 characters",
        "cached": False,
        "attempts": [],
        "ms": {"queued": 2, "first_audio": 180, "first_sound": 191, "first_speech": 191, "total": 3400},
        "spoken_s": 3.1,
        "volume": 60,
    }


def known(journal):
    return journal.pending, journal.finished, dict(journal.switches), journal.history


def ids(journal):
    return [one.id for one in journal.pending]
