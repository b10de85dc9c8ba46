"""Announcements, speeches and turns for tests of what keeps and orders them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, Urgency
from edgevoice.audio.clip import Clip
from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.speaker.turn import Turn
from edgevoice.synthesis.speech import SpeechJob


class NoSynthesis:
    """Fills nothing; remembers what it was asked."""

    transports = frozenset({"http", "http_stream", "websocket", "local"})

    def __init__(self) -> None:
        self.headstarts = JitterStats()
        self.speeches: list[SpeechJob] = []
        self.filled: list[SpeechJob] = []
        self.given_up: list[SpeechJob] = []
        self.hurried = 0

    def speech(self, announcement: Announcement) -> SpeechJob:
        speech = SpeechJob(announcement, self.clip(), self)  # type: ignore[arg-type]
        self.speeches.append(speech)
        return speech

    def clip(self) -> Clip:
        return Clip(24000, lambda: Path("/var/tmp"))

    def hurry(self) -> None:
        self.hurried += 1

    def fill(self, speech: SpeechJob) -> None:
        self.filled.append(speech)

    def give_up(self, speech: SpeechJob) -> None:
        self.given_up.append(speech)


def announcement(urgency: Urgency = Urgency.NORMAL, **more) -> Announcement:
    more.setdefault("id", "a1")
    more.setdefault("arrived", 100.0)
    more.setdefault("ttl", DEFAULT_TTL_S[urgency])
    if "live" not in more:
        more.setdefault("text", "Hello.")
    return Announcement(target="all", urgency=urgency, received_at=datetime.now(UTC), **more)


def turn(number: int = 1, urgency: Urgency = Urgency.NORMAL, **more) -> Turn:
    """A turn; needs a running event loop, as its clip does."""
    asyncio.get_running_loop()
    return Turn(NoSynthesis().speech(announcement(urgency, id=f"a{number}", **more)), "kitchen", number, 60)
