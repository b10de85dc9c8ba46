"""Whether a second request may run beside one that is later than usual, and over which transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgevoice.synthesis.asking import AttemptTask, SynthesisContext

HEDGES_PER_REQUEST = 0.1
"""Further requests for each one that is made in any case."""
MAX_HEDGES = 5.0
"""Further requests that may be saved up: one bad hour does not use up what a good week has saved."""


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


def hedge_at(means: SynthesisContext, asking: AttemptTask, chars: int) -> float | None:
    """The monotonic second from which on this one is later than nearly always; None where that is not known."""
    if asking.asked_at is None or not asking.is_metered:
        return None
    late = means.forecast.late_after(asking.name, chars, asking.warm)
    return None if late is None else asking.asked_at + late


def pick_hedge(means: SynthesisContext, names: Sequence[str]) -> str | None:
    """The first that may be asked, too: one that takes nobody's place and is allowed, or one that needs none."""
    for name in names:
        if not means.transports[name].metered:
            return name
        if means.gate.has_room and means.budget.allows:
            means.budget.spend()
            return name
    return None
