"""Which transports an announcement takes, in which order, and why: a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.config.options import AUTO, DEFAULT_ROUTES, FALLBACK_ALIAS, Route, When
from edgevoice.forecast.outlook import LatencyPrediction

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgevoice.announcement import Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRequest:
    """What routing needs to know of an announcement; `length` in characters, None while live."""

    urgency: Urgency
    length: int | None
    private: bool = False
    forced: str | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The transports to try, in order (none: nothing has to be asked), and the reason in words."""

    order: tuple[str, ...]
    why: str


def routing_request(announcement: Announcement, *, cached: bool = False) -> RoutingRequest:
    """What routing needs to know of an announcement, and of the cache."""
    return RoutingRequest(
        urgency=announcement.urgency,
        length=None if announcement.text is None else len(announcement.text),
        private=announcement.private,
        forced=announcement.transport,
        cached=cached,
    )


#: The decision for an announcement whose clip is in the cache.
CACHED = Decision((), "a complete clip is in the cache")
NO_OUTLOOK = LatencyPrediction()


def decide(
    said: RoutingRequest,
    routes: Sequence[Route] = DEFAULT_ROUTES,
    available: Collection[str] | None = None,
    outlook: LatencyPrediction = NO_OUTLOOK,
    fallbacks: Collection[str] = (),
) -> Decision:
    """Decide by the first route that matches; `auto` in it, by the predicted latency.

    Args:
        said: What is known of the announcement.
        routes: The routes, in order.
        available: The transports that can be used. Others are left out, and the reason says so.
        outlook: The predicted latency of each transport.
        fallbacks: The transports whose role is `Role.FALLBACK`, which `local` in a route stands for.
    """
    decision = _by_rule(said, routes)
    if decision.order == (AUTO,):
        decision = _by_outlook(said, available, outlook)
    decision = Decision(_expand(decision.order, fallbacks), decision.why)
    if available is None:
        return decision
    absent = [name for name in decision.order if name not in available]
    if not absent:
        return decision
    order = tuple(name for name in decision.order if name in available)
    if not order:  # such as every route without an API key: better another voice than none
        order = tuple(name for name in _expand((FALLBACK_ALIAS,), fallbacks) if name in available)
    return Decision(order, f"{decision.why}; {' and '.join(absent)} not available")


def _expand(order: Sequence[str], fallbacks: Collection[str]) -> tuple[str, ...]:
    """Replace the alias by the fallback transports; a plugin somebody installed goes before the bundled one."""
    ranked = sorted(fallbacks, key=lambda name: (name == FALLBACK_ALIAS, name)) or [FALLBACK_ALIAS]
    names = [name for entry in order for name in (ranked if entry == FALLBACK_ALIAS else [entry])]
    return tuple(dict.fromkeys(names))


def _by_rule(said: RoutingRequest, routes: Sequence[Route]) -> Decision:
    if said.cached:
        return CACHED
    if said.private:
        return Decision((FALLBACK_ALIAS,), "private: the text never leaves the house")
    if said.forced is not None:
        # Critical is spoken whatever happens, so it alone may leave the transport it was told.
        fallback = (
            (FALLBACK_ALIAS,) if said.urgency is Urgency.CRITICAL and said.forced != FALLBACK_ALIAS else ()
        )
        return Decision((said.forced, *fallback), f"the announcement asks for {said.forced}")
    for route in routes:
        if route.when is None or matches(route.when, said):
            use = (route.use,) if isinstance(route.use, str) else tuple(dict.fromkeys(route.use))
            return Decision(use, _reason(route.when, said) if route.when else _last_reason(routes, said))
    return Decision((FALLBACK_ALIAS,), "no route applies")


def _by_outlook(
    said: RoutingRequest, available: Collection[str] | None, outlook: LatencyPrediction
) -> Decision:
    """The transports of the contract's table, the quickest first; the local voice stays what it falls back to."""
    rule = _by_rule(said, DEFAULT_ROUTES)
    if said.length is None:
        return Decision(rule.order, f"{AUTO}: {rule.why}")
    names = [
        name for name in rule.order if name != FALLBACK_ALIAS and (available is None or name in available)
    ]
    if not names:
        return Decision((FALLBACK_ALIAS,), f"{AUTO}: there is nothing to choose from")
    # What is urgent is not tried out on.
    order, why = outlook.order(names, may_try=said.urgency.rank < Urgency.HIGH.rank, rule=rule.why)
    return Decision((*order, FALLBACK_ALIAS), f"{AUTO}: {why}")


def matches(when: When, said: RoutingRequest) -> bool:
    """Whether every condition that is given holds; a live text has no length yet."""
    live = said.length is None
    if when.live is not None and when.live != live:
        return False
    if when.urgency is not None and said.urgency not in _urgencies(when):
        return False
    if when.longer_than is not None and (said.length is None or said.length <= when.longer_than):
        return False
    return when.up_to is None or (said.length is not None and said.length <= when.up_to)


def _reason(when: When, said: RoutingRequest) -> str:
    parts = []
    if when.live is not None:
        parts.append("the text is live" if when.live else "the text is whole")
    if when.urgency is not None:
        parts.append(f"urgency is {said.urgency}")
    if when.longer_than is not None:
        parts.append(f"longer than {when.longer_than} characters")
    if when.up_to is not None:
        parts.append(f"up to {when.up_to} characters")
    return ", ".join(parts) or "the route applies to everything"


def _last_reason(routes: Sequence[Route], said: RoutingRequest) -> str:
    """The last route has no condition of its own: what the others asked for and this one exceeds is why."""
    bounds = [route.when.up_to for route in routes if route.when and route.when.up_to]
    exceeded = [bound for bound in bounds if said.length is not None and said.length > bound]
    return f"longer than {max(exceeded)} characters" if exceeded else "no other route applies"


def _urgencies(when: When) -> tuple[Urgency, ...]:
    if when.urgency is None:
        return ()
    return (when.urgency,) if isinstance(when.urgency, Urgency) else tuple(when.urgency)
