"""The state of synthesis: plain data shared by the modules that fill a clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevoice.audio.jitter_buffer import JitterStats
from edgevoice.plugin import Role
from edgevoice.synthesis.latency import LatencyModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgevoice.audio.clip import Clip
    from edgevoice.config.options import CoreOptions
    from edgevoice.plugin import SpeechOptions, Transport
    from edgevoice.synthesis.concurrency import ConcurrencyLimiter
    from edgevoice.synthesis.segments import Segment
    from edgevoice.synthesis.speech import SpeechJob


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of waiting that are not configuration; tests shorten them."""

    #: Seconds to the first audio where no other transport is left.
    last_resort_s: float = 60.0
    #: Seconds that live text may add to the first audio: the server waits for the end of a sentence.
    live_text_s: float = 5.0
    #: Seconds without audio in mid-speech after which a transport has failed.
    stall_s: float = 10.0
    #: Seconds that a request waits for a slot of its account.
    slot_s: float = 120.0
    #: Seconds that cancelled requests are waited for; then they lose their slots.
    cancel_s: float = 1.0
    #: Share of the critical deadline that the standby gets to start: its process may have to.
    standby_lead_share: float = 0.5
    #: Seconds after the critical deadline after which the standby has failed, too.
    standby_grace_s: float = 5.0


class HedgeBudget:
    """A retry budget: hedge requests are allowed as a share of the regular requests."""

    #: Hedge requests for each regular request, and how many can be saved up.
    PER_REQUEST, MAX = 0.1, 5.0

    def __init__(self) -> None:
        self._left = 0.0

    @property
    def allows(self) -> bool:
        return self._left >= 1

    def earn(self) -> None:
        """Count a regular request."""
        self._left = min(self.MAX, round(self._left + self.PER_REQUEST, 6))

    def spend(self) -> None:
        """Count a hedge request."""
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
    latency: LatencyModel = field(default_factory=LatencyModel)
    jitter: JitterStats = field(default_factory=JitterStats)
    hedge_budget: HedgeBudget = field(default_factory=HedgeBudget)
    timeouts: Timeouts = field(default_factory=Timeouts)

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
        """Return whether a second request may run beside a late request."""
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
    """A segment to speak, and its clip: the speech job may have a new clip by then."""

    context: SynthesisContext
    speech: SpeechJob
    segment: Segment
    clip: Clip
