"""Announcements and synthesis jobs for tests of what keeps and orders them."""

from datetime import UTC, datetime
from pathlib import Path

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, Urgency
from edgevoice.audio.clip import Clip
from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.config.options import Limits, PerMinute
from edgevoice.synthesis.synthesizer import SpeechJob


class NoSynthesis:
    """Fills nothing; remembers what it was asked."""

    transports = frozenset({"http", "http_stream", "websocket", "local"})

    def __init__(self) -> None:
        self.jitter = JitterStats()
        self.speeches: list[SpeechJob] = []
        self.filled: list[SpeechJob] = []
        self.given_up: list[SpeechJob] = []
        self.hurried = 0

    def new_job(self, announcement: Announcement) -> SpeechJob:
        speech = SpeechJob(announcement, self.new_clip(), self)  # type: ignore[arg-type]
        self.speeches.append(speech)
        return speech

    def new_clip(self) -> Clip:
        return Clip(24000, lambda: Path("/var/tmp"))

    def priority_raised(self, _speech: SpeechJob) -> None:
        self.hurried += 1

    def fill(self, speech: SpeechJob) -> None:
        self.filled.append(speech)

    def cancel(self, speech: SpeechJob) -> None:
        self.given_up.append(speech)


def announcement(urgency: Urgency = Urgency.NORMAL, **more) -> Announcement:
    more.setdefault("id", "a1")
    more.setdefault("received_monotonic", 100.0)
    more.setdefault("ttl", DEFAULT_TTL_S[urgency])
    if "live" not in more:
        more.setdefault("text", "Hello.")
    return Announcement(target="all", urgency=urgency, received_at=datetime.now(UTC), **more)


def rate(per_minute: float, burst: int) -> PerMinute:
    return PerMinute(per_minute=per_minute, burst=burst)


def limits(**rates: PerMinute) -> Limits:
    """Only these rate limits."""
    off = dict.fromkeys(("per_topic", "total", "critical"), False)
    return Limits(**off | rates)
