"""What synthesis works with: plain data shared by the modules that fill a clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.forecast.forecast import LatencyModel
from edgevoice.synthesis.pace import Paces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgevoice.audio.clip import Clip
    from edgevoice.config.options import CoreOptions
    from edgevoice.plugin import Transport
    from edgevoice.synthesis.concurrency import ConcurrencyLimiter
    from edgevoice.synthesis.segments import Part
    from edgevoice.synthesis.speech import SpeechJob


#: Hedge requests allowed per regular request.
HEDGES_PER_REQUEST = 0.1
#: Hedge requests that can be saved up at most.
MAX_HEDGES = 5.0


class HedgeBudget:
    """How many further requests may be made: a share of the others."""

    def __init__(self) -> None:
        self._left = 0.0

    @property
    def allows(self) -> bool:
        """Whether a further request may be made."""
        return self._left >= 1

    def earn(self) -> None:
        """A request is made in any case."""
        self._left = min(MAX_HEDGES, round(self._left + HEDGES_PER_REQUEST, 6))

    def spend(self) -> None:
        """A further request is made."""
        self._left -= 1


@dataclass(frozen=True, slots=True)
class SynthesisContext:
    """What speech is made with, and what was learned from all that was made; `fault` is told what concerns the account."""

    transports: Mapping[str, Transport]
    core: CoreOptions
    gate: ConcurrencyLimiter
    fault: Callable[[str, str | None], None]
    forecast: LatencyModel = field(default_factory=LatencyModel)
    paces: Paces = field(default_factory=Paces)
    headstarts: JitterStats = field(default_factory=JitterStats)
    budget: HedgeBudget = field(default_factory=HedgeBudget)


@dataclass(frozen=True, slots=True)
class SegmentJob:
    """A part of a speech that is to be spoken, what with, and where to: the speech may have a new clip by then."""

    means: SynthesisContext
    speech: SpeechJob
    part: Part
    clip: Clip
