"""What is to be expected of the transports at one moment, and the order that follows from it: pure values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRIES = 0.1
"""How often one is tried: so many times its chance to be quicker, over what trying it is expected to cost."""
HOPELESS = 0.025
"""The chance below which nothing more has to be known."""
MOST_TRIES = 0.05
"""The part of all announcements that one transport is tried on at most."""


@dataclass(frozen=True, slots=True)
class ExpectedLatency:
    """What is expected of one transport: seconds to the first sound, from so many requests.

    `uncertainty` is the standard deviation of the seconds, `known` tells whether there is enough to go by.
    """

    seconds: float = 0.0
    uncertainty: float = 0.0
    requests: int = 0
    known: bool = False
    warm: bool = True

    def chance(self, seconds: float) -> float:
        """How likely it is to be quicker than so many seconds."""
        off = (seconds - self.seconds) / max(self.uncertainty, 1e-6)
        return 0.5 + 0.5 * math.erf(off / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class LatencyPrediction:
    """What is expected for a first request of so many `characters`.

    `draw` is a number from 0 to 1 that settles whether something is tried now.
    """

    characters: int = 0
    of: Mapping[str, ExpectedLatency] = field(default_factory=lambda: MappingProxyType({}))
    draw: float = 1.0

    def order(self, names: Sequence[str], *, may_try: bool, rule: str) -> tuple[tuple[str, ...], str]:
        """The transports `names` in the order to take them, and why; they come in the order of the rules.

        `may_try` allows one that is not expected to be the quickest to go first, `rule` is why the rules
        have that order.
        """
        of = {name: self.of.get(name, ExpectedLatency()) for name in names}
        measured = [expected.seconds for expected in of.values() if expected.requests]
        best = min(measured, default=math.inf)
        hopeful = [name for name in names if not of[name].known and of[name].chance(best) > HOPELESS]
        if hopeful:
            least = min(hopeful, key=lambda name: (of[name].requests > 0, of[name].seconds))
            order = _first(least, names) if may_try and self.of else tuple(names)
            seen = ", ".join(f"{name} {of[name].requests}" for name in names)
            how = "by the rules" if order == tuple(names) else f"{least} is tried, else by the rules"
            return order, f"knows too little yet (requests: {seen}), {how}: {rule}"
        quickest = tuple(sorted(names, key=lambda name: of[name].seconds))
        told = self._in_numbers(quickest)
        if may_try and (tried := self._to_try(quickest)) is not None:
            return _first(tried, quickest), f"{tried} is tried, which may be quicker by now; {told}"
        return quickest, told

    def _to_try(self, quickest: Sequence[str]) -> str | None:
        """The one to try, if one may be quicker than is expected of the quickest, and it is time."""
        best, draw = self.of[quickest[0]].seconds, self.draw
        for name in quickest[1:]:
            expected = self.of[name]
            costs = max(expected.seconds / best - 1, 1e-6)
            draw -= min(MOST_TRIES, TRIES * expected.chance(best) / costs)
            if draw < 0:
                return name
        return None

    def _in_numbers(self, names: Sequence[str]) -> str:
        """As `websocket 112 ms, http 210 ms (warm, 43 characters)`."""
        warm = {self.of[name].warm for name in names}
        said = ", ".join(
            f"{name} {self.of[name].seconds * 1000:.0f} ms"
            + (" cold" if len(warm) > 1 and not self.of[name].warm else "")
            for name in names
        )
        alike = "" if len(warm) > 1 else "warm, " if warm == {True} else "cold, "
        return f"{said} ({alike}{self.characters} characters)"


def _first(name: str, names: Sequence[str]) -> tuple[str, ...]:
    return (name, *(other for other in names if other != name))
