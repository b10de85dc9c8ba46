"""Keeps one line to the Lightning server open ahead of need, and hands lines out."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgevoice.errors import AccountRefused
from edgevoice_plugins.lightning.line import Line, dial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgevoice.plugin import Context

logger = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0
"""Seconds before a line that could not be opened is tried again; doubled each time."""
LASTING = 20.0
"""Seconds unused after which a line that drops counts as having been good."""


class Lines:
    """One line is kept; more are opened when several requests run at once, and closed after them.

    Everything here runs in the background of the event loop until `close`.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._spare: Line | None = None
        self._taken = 0
        self._dialing: asyncio.Task[Line] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._delay = FIRST_DELAY
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    def open_ahead(self) -> None:
        """Begin to open a line, unless there is one or one is being opened."""
        if not (self._closed or self._spare or self._taken or self._dialing):
            self._dial()

    async def close(self) -> None:
        self._closed = True
        if self._later:
            self._later.cancel()
        if self._dialing:
            self._dialing.cancel()
        if self._spare:
            self._hang_up(self._pop(self._spare))
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def take(self) -> tuple[Line, bool]:
        """A line for one request, to be used with `held`; and whether it had been open before.

        Raises:
            AccountRefused, TransportError: none can be opened.
        """
        if self._spare and not self._spare.is_lost:
            return self._pop(self._spare), True
        dialing = self._dialing or self._dial()
        # A cancelled caller must not take the dialing with it, nor others who wait for it.
        await asyncio.wait({dialing})
        if self._spare and not self._spare.is_lost:
            return self._pop(self._spare), False
        if dialing.done() and not dialing.cancelled() and (error := dialing.exception()):
            raise error
        return await self._new(), False

    @contextmanager
    def held(self, line: Line) -> Iterator[Line]:
        """Hold a line for one request; one that is still busy at the end is closed and replaced."""
        self._taken += 1
        try:
            yield line
        finally:
            self._taken -= 1
            if line.busy or line.is_lost or self._spare or self._closed:
                self._hang_up(line)
            else:
                self._spare = line
            self.open_ahead()

    def _pop(self, line: Line) -> Line:
        self._spare = None
        return line

    async def _new(self) -> Line:
        line = await dial(self._context)
        line.when_lost(lambda: self._dropped(line))
        return line

    def _dropped(self, line: Line) -> None:
        if self._spare is not line:
            return
        self._hang_up(self._pop(line))
        if line.used or asyncio.get_running_loop().time() - line.opened > LASTING:
            self._delay = FIRST_DELAY
            self.open_ahead()
        else:
            self._dial_later()

    def _hang_up(self, line: Line) -> None:
        self._background(asyncio.create_task(line.close(), name="lightning hangs up"))

    def _dial(self) -> asyncio.Task[Line]:
        if self._later:
            self._later.cancel()
            self._later = None
        self._dialing = asyncio.create_task(self._new(), name="lightning dials")
        self._background(self._dialing)
        self._dialing.add_done_callback(self._dialed)
        return self._dialing

    def _dialed(self, dialing: asyncio.Task[Line]) -> None:
        self._dialing = None
        if dialing.cancelled():
            return
        error = dialing.exception()
        if error is None:
            self._settle(dialing.result())
        elif not isinstance(error, AccountRefused):
            # A refused account is asked again by the next request, and by nothing else.
            first = self._delay == FIRST_DELAY
            logger.log(logging.INFO if first else logging.DEBUG, "no line to the Lightning server: %s", error)
            self._dial_later()

    def _settle(self, line: Line) -> None:
        if self._closed or self._spare:
            self._hang_up(line)
        else:
            self._spare = line

    def _dial_later(self) -> None:
        if self._closed or self._later:
            return
        delay = self._delay * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        self._later = asyncio.get_running_loop().call_later(delay, self._due)

    def _due(self) -> None:
        self._later = None
        self.open_ahead()

    def _background(self, task: asyncio.Task[object]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
