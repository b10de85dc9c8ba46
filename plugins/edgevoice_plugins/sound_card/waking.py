"""Whether the sink of one output sleeps, and the silence that wakes it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edgevoice_plugins.sound_card import lead_in, sinks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgevoice_plugins.sound_card.options import Options

logger = logging.getLogger(__name__)


class Waking:
    """The lead-in of one output: what it is follows from the options, from what was learned, and from the sink."""

    def __init__(self, speaker: str, options: Options, state_dir: Path, clock: Callable[[], float]) -> None:
        self._speaker = speaker
        self._options = options
        self._state_dir = state_dir
        self._clock = clock
        self._names: tuple[str, ...] = (options.device,)
        self._learned: lead_in.Learned | None = None
        self._sounded: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self.lead_in = self._chosen()

    async def begin(self) -> None:
        """Read what was learned, and ask for the sink beside all else: a frozen sound server does not answer."""
        learned = await asyncio.to_thread(lead_in.load, self._state_dir)
        self._learned = learned.get(self._options.device)
        self._decide()
        if self._options.lead_in == "auto" and self._learned is None:
            self._asking = asyncio.create_task(self._ask())

    async def end(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    def is_called(self, device: str) -> None:
        """The device that was opened has this full name."""
        if device not in self._names:
            self._names += (device,)
            self._decide()

    def needed(self) -> float:
        """Seconds of silence that have to come before a sound now."""
        slept = None if self._sounded is None else self._clock() - self._sounded
        return self.lead_in.needed(slept)

    def sounded(self) -> None:
        """There was sound until now."""
        self._sounded = self._clock()

    async def _ask(self) -> None:
        self._names += await sinks.names(self._options.device)
        self._decide()

    def _decide(self) -> None:
        chosen = self._chosen()
        if chosen != self.lead_in and chosen.seconds:
            logger.info(
                "%s: %.0f ms of silence before the first sound after %g s without one: %s",
                *(self._speaker, chosen.seconds * 1000, chosen.after, chosen.why),
            )
        self.lead_in = chosen

    def _chosen(self) -> lead_in.LeadIn:
        configured = None if self._options.lead_in == "auto" else self._options.lead_in
        return lead_in.choose(configured, self._options.lead_in_after, self._learned, self._names)
