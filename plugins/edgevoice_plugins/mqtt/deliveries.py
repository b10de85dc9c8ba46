"""The messages that were taken lately: one that is delivered once more is not taken twice."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from edgevoice_plugins.mqtt.topics import Message

MOST = 1000
"""More than any broker leaves unacknowledged, and no others are delivered again."""


class _Taken:
    """A message that was taken; the delivery to acknowledge is the latest one."""

    def __init__(self, acknowledge: Callable[[], None]) -> None:
        self._acknowledge = acknowledge
        self._is_safe = False

    def safe(self) -> None:
        self._is_safe = True
        self._acknowledge()

    def again(self, acknowledge: Callable[[], None]) -> None:
        self._acknowledge = acknowledge
        if self._is_safe:
            acknowledge()


class Deliveries:
    """Knows messages by session, packet id and content: a new message may have the packet id of an old one."""

    def __init__(self) -> None:
        self._taken: OrderedDict[Hashable, _Taken] = OrderedDict()

    def first(self, message: Message) -> Message | None:
        """The message, to be taken and acknowledged in its time; None if it was taken before."""
        if message.delivery is None:
            return message
        key = (message.delivery, message.topic, hash(message.payload))
        if message.redelivered and (taken := self._taken.get(key)) is not None:
            taken.again(message.acknowledge)
            return None
        taken = self._taken[key] = _Taken(message.acknowledge)
        self._taken.move_to_end(key)
        if len(self._taken) > MOST:
            self._taken.popitem(last=False)
        return replace(message, acknowledge=taken.safe)
