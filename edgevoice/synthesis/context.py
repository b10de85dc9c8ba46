"""What synthesis works with: plain data shared by the modules that fill a clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.forecast.forecast import LatencyModel
from edgevoice.plugin import Role
from edgevoice.synthesis.pace import Paces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgevoice.audio.clip import Clip
    from edgevoice.config.options import CoreOptions
    from edgevoice.plugin import SpeechOptions, Transport
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
    """The transports, their limits, and what was learned from earlier requests."""

    transports: Mapping[str, Transport]
    core: CoreOptions
    #: Defaults of all speech.
    speech: SpeechOptions
    #: The concurrency limiter of each account.
    limiters: Mapping[str, ConcurrencyLimiter]
    #: Raises or clears the fault of an account, by the account's name.
    fault: Callable[[str, str | None], None]
    #: Transports that are installed, but not configured, such as without an API key.
    unconfigured: frozenset[str] = frozenset()
    forecast: LatencyModel = field(default_factory=LatencyModel)
    paces: Paces = field(default_factory=Paces)
    headstarts: JitterStats = field(default_factory=JitterStats)
    budget: HedgeBudget = field(default_factory=HedgeBudget)

    @property
    def fallbacks(self) -> frozenset[str]:
        """Names of the transports of last resort."""
        return frozenset(name for name in self.transports if self.is_fallback(name))

    def is_fallback(self, name: str) -> bool:
        """Return whether a transport is a voice of last resort."""
        return self.transports[name].role is Role.FALLBACK

    def limiter(self, name: str) -> ConcurrencyLimiter | None:
        """Return the concurrency limiter of a transport's account; None if it has no account."""
        account = self.transports[name].account
        return None if account is None else self.limiters[account]

    @property
    def hedging_enabled(self) -> bool:
        """Whether a second request may run beside one that is late."""
        limits = [limiter.configured for limiter in self.limiters.values()]
        return self.core.hedging_enabled(max(limits, default=1))

    def survivors(self, refused: str, names: Sequence[str]) -> list[str]:
        """Return the transports that can still be tried after the account of `refused` was refused."""
        account = self.transports[refused].account
        return [
            name
            for name in names
            if name != refused and (account is None or self.transports[name].account != account)
        ]


@dataclass(frozen=True, slots=True)
class SegmentJob:
    """A part of a speech that is to be spoken, what with, and where to: the speech may have a new clip by then."""

    means: SynthesisContext
    speech: SpeechJob
    part: Part
    clip: Clip
