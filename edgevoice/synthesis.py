"""Turns announcements into clips, each filled by a task of its own.

Retries happen here and nowhere else: `Filling` takes the parts of one speech in their order, `Race` the transports
of one part, `Asking` one of them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from edgevoice.asking import Means
from edgevoice.clip import Clip
from edgevoice.errors import ClipError, EdgeVoiceError
from edgevoice.filling import Filling
from edgevoice.gate import Gate
from edgevoice.routing import Said, decide
from edgevoice.speech import Speech

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.config.options import Core, Route
    from edgevoice.plugin import Transport

logger = logging.getLogger(__name__)


class Synthesis:
    """Turns announcements into clips, over the transports there are.

    `fault` is told what concerns the account, `late_after` when a first sample is late (`Means`). Use as `async with`: leaving gives up what is unmade.
    """

    def __init__(
        self,
        transports: Mapping[str, Transport],
        core: Core,
        routes: Sequence[Route],
        *,
        spool: Callable[[], Path],
        fault: Callable[[str, str | None], None],
        late_after: Callable[[str, int, bool], float | None] | None = None,
    ) -> None:
        gate = Gate(core.lightning.concurrency)
        self.means = Means(transports, core, gate, fault, late_after or never_late)
        self._routes = routes
        self._spool = spool
        self._tasks: dict[Speech, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def transports(self) -> frozenset[str]:
        """The names of the transports there are."""
        return frozenset(self.means.transports)

    def speech(self, announcement: Announcement) -> Speech:
        """The speech of an announcement; nothing is asked for before it begins."""
        return Speech(announcement, Clip(self.means.core.lightning.sample_rate, self._spool), self)

    def fill(self, speech: Speech) -> None:
        """Fill the clip of a speech in the background."""
        task = asyncio.create_task(self._fill(speech), name=f"synthesis {speech.announcement.id}")
        self._tasks[speech] = task
        task.add_done_callback(lambda _: self._tasks.pop(speech, None))

    def give_up(self, speech: Speech) -> None:
        """Cancel what is unmade of a speech."""
        if task := self._tasks.get(speech):
            task.cancel()

    async def _fill(self, speech: Speech) -> None:
        speech.decision = decide(said_of(speech.announcement), self._routes, self.transports)
        try:
            await Filling(self.means, speech, speech.decision.order).run()
            speech.clip.finish()
        except EdgeVoiceError as error:
            speech.clip.finish(error)
        except asyncio.CancelledError:
            speech.clip.finish(ClipError("given up"))
            raise
        except Exception as error:
            logger.exception("synthesis broke", extra={"ANNOUNCEMENT_ID": speech.announcement.id})
            speech.clip.finish(error)


def never_late(transport: str, chars: int, warm: bool) -> None:
    """Nothing is known of when a first sample is late."""
    del transport, chars, warm


def said_of(announcement: Announcement) -> Said:
    """What routing needs to know of an announcement."""
    return Said(
        urgency=announcement.urgency,
        length=None if announcement.text is None else len(announcement.text),
        private=announcement.private,
        forced=announcement.transport,
    )
