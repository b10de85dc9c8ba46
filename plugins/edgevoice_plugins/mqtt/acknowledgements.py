"""The PUBACKs of one connection: each when its message is safe, in the order in which the messages came."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LATEST = 30.0
"""Seconds after which a message is acknowledged all the same: a broker leaves only so many unacknowledged."""
_log = logging.getLogger("edgevoice.mqtt")


@dataclass(slots=True, eq=False)
class _Due:
    packet: int
    alarm: asyncio.TimerHandle | None = None
    safe: bool = False


class Acknowledgements:
    """What is still to be acknowledged; `send` is given packet ids, which mean nothing to another connection.

    The order is a rule of MQTT (5.0, 4.6; 3.1.1, 4.6): one that waits keeps those after it waiting.
    """

    def __init__(self, send: Callable[[int], object]) -> None:
        self._send = send
        self._due: deque[_Due] = deque()

    def expect(self, packet: int) -> Callable[[], None]:
        """A message came; what is returned acknowledges it, however often it is called."""
        due = _Due(packet)
        due.alarm = asyncio.get_running_loop().call_later(LATEST, self._overdue, due)
        self._due.append(due)
        return partial(self._safe, due)

    def close(self) -> None:
        """Acknowledge nothing more: the connection is gone, and what was not comes again."""
        for due in self._due:
            if due.alarm is not None:
                due.alarm.cancel()
        self._due.clear()

    def _safe(self, due: _Due) -> None:
        due.safe = True
        if due.alarm is not None:
            due.alarm.cancel()
        while self._due and self._due[0].safe:
            self._send(self._due.popleft().packet)

    def _overdue(self, due: _Due) -> None:
        _log.warning("a message was not safe within %g s; the broker is told that it is", LATEST)
        self._safe(due)
