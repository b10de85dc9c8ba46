"""Announcements, speeches and turns for tests of what keeps and orders them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from edgevoice.announcement import TTL, Announcement, Urgency
from edgevoice.clip import Clip
from edgevoice.headstart import Headstarts
from edgevoice.speech import Speech
from edgevoice.turn import Turn


class NoSynthesis:
    """Fills nothing; remembers what it was asked."""

    transports = frozenset({"http", "http_stream", "websocket", "local"})

    def __init__(self) -> None:
        self.headstarts = Headstarts()
        self.speeches: list[Speech] = []
        self.filled: list[Speech] = []
        self.given_up: list[Speech] = []
        self.hurried = 0

    def speech(self, announcement: Announcement) -> Speech:
        speech = Speech(announcement, self.clip(), self)  # type: ignore[arg-type]
        self.speeches.append(speech)
        return speech

    def clip(self) -> Clip:
        return Clip(24000, lambda: Path("/var/tmp"))

    def hurry(self) -> None:
        self.hurried += 1

    def fill(self, speech: Speech) -> None:
        self.filled.append(speech)

    def give_up(self, speech: Speech) -> None:
        self.given_up.append(speech)


def announcement(urgency: Urgency = Urgency.NORMAL, **more) -> Announcement:
    more.setdefault("id", "a1")
    more.setdefault("arrived", 100.0)
    more.setdefault("ttl", TTL[urgency])
    if "live" not in more:
        more.setdefault("text", "Hello.")
    return Announcement(target="all", urgency=urgency, arrived_at=datetime.now(UTC), **more)


def turn(number: int = 1, urgency: Urgency = Urgency.NORMAL, **more) -> Turn:
    """A turn; needs a running event loop, as its clip does."""
    asyncio.get_running_loop()
    return Turn(NoSynthesis().speech(announcement(urgency, id=f"a{number}", **more)), "kitchen", number, 60)
