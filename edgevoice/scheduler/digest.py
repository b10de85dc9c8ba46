"""The digest: one announcement that reads the held ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.announcement import internal_announcement
from edgevoice.text import messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edgevoice.announcement import Announcement
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
    return internal_announcement(
        " ".join(sentences), target, received_monotonic=now, received_at=local, private=private
    )


def _text(item: QueueItem) -> str:
    live = item.announcement.live
    return (item.announcement.text or "") if live is None else live.text
