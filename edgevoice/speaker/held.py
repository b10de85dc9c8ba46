"""The announcements that a speaker holds, and the digest that reads them."""

from __future__ import annotations

import bisect
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice import words
from edgevoice.announcement import Announcement, Urgency
from edgevoice.speaker.backlog import least_urgent, parted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgevoice.speaker.turn import Turn

MOST_ITEMS = 10
MOST_CHARACTERS = 900
"""A minute at 15 characters a second."""


class Held:
    """What is kept back, oldest first; `keep` is for how many seconds at most."""

    def __init__(self, keep: float, limit: int) -> None:
        self._keep = keep
        self._limit = limit
        self._turns: list[Turn] = []

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns)

    def add(self, turn: Turn, now: float) -> Turn | None:
        """Hold a turn; return the one that is given up for it: the least urgent, oldest first."""
        turn.hold(now)
        bisect.insort(self._turns, turn, key=lambda turn: turn.number)
        if len(self._turns) <= self._limit:
            return None
        given_up = least_urgent(self._turns)
        self._turns.remove(given_up)
        return given_up

    def take_if(self, wanted: Callable[[Turn], object]) -> list[Turn]:
        """Take out every turn that is wanted."""
        taken, self._turns = parted(self._turns, wanted)
        return taken

    def expired(self, now: float) -> list[Turn]:
        """Take out those that were held too long; not what is being read."""
        return self.take_if(lambda turn: turn.read_by is None and self._until(turn) <= now)

    def next_expiry(self) -> float | None:
        """When the next one was held too long."""
        return min((self._until(turn) for turn in self._turns if turn.read_by is None), default=None)

    def unread(self) -> list[Turn]:
        """What no digest reads yet, and what is all there: live text that still arrives is not."""
        return [turn for turn in self._turns if turn.read_by is None and _is_whole(turn)]

    def _until(self, turn: Turn) -> float:
        return (turn.held_at or 0.0) + self._keep


def merged(turns: Sequence[Turn]) -> list[Turn]:
    """Of those with one tag only the newest."""
    newest = {turn.announcement.tag: turn for turn in turns}
    return [turn for turn in turns if turn.announcement.tag is None or newest[turn.announcement.tag] is turn]


def as_many_as_fit(items: Sequence[Turn]) -> list[Turn]:
    """The first of them that one digest reads: ten or a minute, at least one."""
    length = 0
    for count, turn in enumerate(items):
        length += len(_text(turn)) + len(words.dated(turn.announcement.received_at, "", "en"))
        if count and (count == MOST_ITEMS or length > MOST_CHARACTERS):
            return list(items[:count])
    return list(items)


def digest_of(turns: Sequence[Turn], left: int, target: str, language: str, arrived: float) -> Announcement:
    """The announcement that reads some held ones; by the local voice if one of them is private."""
    sentences = [words.held(len(turns), language)]
    sentences += [
        words.dated(turn.announcement.received_at.astimezone(), _text(turn), language) for turn in turns
    ]
    if left:
        sentences.append(words.more_held(left, language))
    return announcement(
        " ".join(sentences), target, arrived, private=any(turn.announcement.private for turn in turns)
    )


def announcement(
    text: str, target: str, arrived: float, *, private: bool = False, tag: str | None = None
) -> Announcement:
    """Something the daemon itself says."""
    return Announcement(
        id=f"edgevoice-{uuid.uuid4().hex[:8]}",
        target=target,
        text=text,
        urgency=Urgency.NORMAL,
        received_monotonic=arrived,
        received_at=datetime.now(UTC),
        ttl=300.0,
        private=private,
        tag=tag,
    )


def _text(turn: Turn) -> str:
    live = turn.announcement.live
    return (turn.announcement.text or "") if live is None else live.text


def _is_whole(turn: Turn) -> bool:
    live = turn.announcement.live
    return live is None or live.ended
