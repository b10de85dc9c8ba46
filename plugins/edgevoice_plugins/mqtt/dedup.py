"""Each message is handled once and acknowledged once: duplicate filter, ordered PUBACKs, and a TTL set."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from edgevoice_plugins.mqtt.topics import Message

#: Messages remembered by the duplicate filter: more than any broker leaves unacknowledged, and only
#: unacknowledged messages are delivered again.
MAX_DELIVERIES = 1000
_MAX_NAMES = 1000
_log = logging.getLogger(__name__)


class _Delivery:
    """A message that was handed over. Its PUBACK goes to the latest delivery of it."""

    def __init__(self, acknowledge: Callable[[], None]) -> None:
        self._acknowledge = acknowledge
        self._is_safe = False

    def safe(self) -> None:
        self._is_safe = True
        self._acknowledge()

    def redelivered(self, acknowledge: Callable[[], None]) -> None:
        self._acknowledge = acknowledge
        if self._is_safe:
            acknowledge()


class DuplicateFilter:
    """Drops messages that the broker delivers again (DUP).

    The key is session, packet id, topic and payload, because a new message may reuse an old packet id.
    """

    def __init__(self) -> None:
        self._deliveries: OrderedDict[Hashable, _Delivery] = OrderedDict()

    def first_delivery(self, message: Message) -> Message | None:
        """Return the message to handle, or None if it was handed over before."""
        if message.delivery is None:
            return message
        key = (message.delivery, message.topic, hash(message.payload))
        if message.redelivered and (known := self._deliveries.get(key)) is not None:
            known.redelivered(message.acknowledge)
            return None
        delivery = self._deliveries[key] = _Delivery(message.acknowledge)
        self._deliveries.move_to_end(key)
        if len(self._deliveries) > MAX_DELIVERIES:
            self._deliveries.popitem(last=False)
        return replace(message, acknowledge=delivery.safe)


@dataclass(slots=True, eq=False)
class _Pending:
    packet: int
    timer: asyncio.TimerHandle | None = None
    is_safe: bool = False


class OrderedAcks:
    """The PUBACKs of one connection, sent in the order in which the messages arrived.

    MQTT requires that order (5.0 and 3.1.1, section 4.6), so a message that is not safe yet holds back
    the PUBACKs of later ones. After `max_wait_s` it is acknowledged anyway, because a broker allows only
    a few unacknowledged messages. `send` gets packet ids, which are valid on this connection only.
    """

    def __init__(self, send: Callable[[int], object], max_wait_s: float) -> None:
        self._send = send
        self._max_wait_s = max_wait_s
        self._pending: deque[_Pending] = deque()

    def defer(self, packet: int) -> Callable[[], None]:
        """Register a message; return the function that marks it safe. Further calls of that do nothing."""
        pending = _Pending(packet)
        pending.timer = asyncio.get_running_loop().call_later(self._max_wait_s, self._overdue, pending)
        self._pending.append(pending)
        return partial(self._safe, pending)

    def close(self) -> None:
        """Send nothing more: the connection is gone, and the broker delivers the pending messages again."""
        for pending in self._pending:
            if pending.timer is not None:
                pending.timer.cancel()
        self._pending.clear()

    def _safe(self, pending: _Pending) -> None:
        pending.is_safe = True
        if pending.timer is not None:
            pending.timer.cancel()
        while self._pending and self._pending[0].is_safe:
            self._send(self._pending.popleft().packet)

    def _overdue(self, pending: _Pending) -> None:
        _log.warning("a message was not stored within %g s; acknowledging it all the same", self._max_wait_s)
        self._safe(pending)


class TtlSet:
    """A bounded set of names that expire `ttl_s` after they were last added."""

    def __init__(self, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._added: dict[str, float] = {}

    def add(self, name: str) -> bool:
        """Add a name; return whether it was absent."""
        now = self._clock()
        is_new = now - self._added.pop(name, -math.inf) >= self._ttl_s
        self._added[name] = now
        if len(self._added) > _MAX_NAMES:
            del self._added[next(iter(self._added))]
        return is_new
