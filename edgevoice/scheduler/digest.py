"""The announcements of the daemon itself: the digest that reads held items, and other single sentences."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from edgevoice.announcement import Announcement, Urgency
from edgevoice.text import messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgevoice.scheduler.item import QueueItem

MAX_ITEMS = 10
#: A minute at 15 characters a second.
MAX_CHARACTERS = 900


def newest_per_tag(items: Sequence[QueueItem]) -> list[QueueItem]:
    """Return the items without those that have the tag of a later one."""
    newest = {item.announcement.tag: item for item in items}
    return [item for item in items if item.announcement.tag is None or newest[item.announcement.tag] is item]


def fit_digest(items: Sequence[QueueItem]) -> list[QueueItem]:
    """Return the first items, as many as one digest reads: ten or a minute, at least one."""
    length = 0
    for count, item in enumerate(items):
        length += len(_text(item)) + len(messages.dated(item.announcement.received_at, "", "en"))
        if count and (count == MAX_ITEMS or length > MAX_CHARACTERS):
            return list(items[:count])
    return list(items)


def digest_of(
    items: Sequence[QueueItem], left: int, target: str, language: str, now: float, local: datetime
) -> Announcement:
    """Return the announcement that reads items; it is private if one of them is.

    `left` items remain for the next digest. Times are spoken in the time zone of `local`.
    """
    sentences = [messages.held(len(items), language)]
    for item in items:
        received = item.announcement.received_at.astimezone(local.tzinfo)
        sentences.append(messages.dated(received, _text(item), language))
    if left:
        sentences.append(messages.more_held(left, language))
    private = any(item.announcement.private for item in items)
    return internal_announcement(" ".join(sentences), target, now, local, private=private)


def internal_announcement(  # noqa: PLR0913 - an announcement has as many parts
    text: str,
    target: str,
    now: float,
    local: datetime,
    *,
    private: bool = False,
    tag: str | None = None,
) -> Announcement:
    """Return an announcement of the daemon itself."""
    return Announcement(
        id=f"edgevoice-{uuid.uuid4().hex[:8]}",
        target=target,
        text=text,
        urgency=Urgency.NORMAL,
        received_monotonic=now,
        received_at=local,
        ttl=300.0,
        private=private,
        tag=tag,
    )


def _text(item: QueueItem) -> str:
    live = item.announcement.live
    return (item.announcement.text or "") if live is None else live.text
