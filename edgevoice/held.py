"""The announcements that a speaker holds, and the digest that reads them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgevoice import words
from edgevoice.announcement import Announcement, Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgevoice.turn import Turn

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
        """Hold a turn; return the one that is given up for it."""
        turn.hold(now)
        self._turns.append(turn)
        return self._turns.pop(0) if len(self._turns) > self._limit else None

    def take_if(self, wanted: Callable[[Turn], object]) -> list[Turn]:
        """Take out every turn that is wanted."""
        taken = [turn for turn in self._turns if wanted(turn)]
        self._turns = [turn for turn in self._turns if turn not in taken]
        return taken

    def expired(self, now: float) -> list[Turn]:
        """Take out those that were held too long."""
        return self.take_if(lambda turn: turn.held_at is not None and turn.held_at + self._keep <= now)

    def next_expiry(self) -> float | None:
        """When the oldest was held too long."""
        return min(
            (turn.held_at + self._keep for turn in self._turns if turn.held_at is not None), default=None
        )

    def take_digest(self) -> list[Turn]:
        """Take out what one digest reads: the oldest, ten or a minute of them."""
        taken: list[Turn] = []
        length = 0
        for turn in self._turns:
            length += len(_text(turn))
            if taken and (len(taken) == MOST_ITEMS or length > MOST_CHARACTERS):
                break
            taken.append(turn)
        return self.take_if(lambda turn: turn in taken)

    def put_back(self, turns: Sequence[Turn]) -> None:
        """Hold again what was taken for a digest that was not heard."""
        self._turns = [*turns, *self._turns]


def digest_of(turns: Sequence[Turn], left: int, target: str, language: str, arrived: float) -> Announcement:
    """The announcement that reads some held ones; by the local voice if one of them is private."""
    sentences = [words.held(len(turns), language)]
    sentences += [
        words.at(turn.announcement.arrived_at.astimezone(), _text(turn), language) for turn in turns
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
        arrived=arrived,
        arrived_at=datetime.now(UTC),
        ttl=300.0,
        private=private,
        tag=tag,
    )


def _text(turn: Turn) -> str:
    live = turn.announcement.live
    return (turn.announcement.text or "") if live is None else live.text
