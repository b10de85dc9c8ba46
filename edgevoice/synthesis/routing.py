"""Which transports an announcement takes, in which order, and why: a pure function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.config.options import AUTO, DEFAULT_ROUTES, FALLBACK_ALIAS, Route, When
from edgevoice.synthesis.latency import ENOUGH, LatencyPrediction

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgevoice.announcement import Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRequest:
    """The routing criteria of an announcement; `length` in characters, None while live."""

    urgency: Urgency
    length: int | None
    private: bool = False
    forced: str | None = None
    cached: bool = False

    @property
    def may_try(self) -> bool:
        """Whether a transport may go first only to be measured; never with high and critical."""
        return self.urgency.rank < Urgency.HIGH.rank

    @property
    def depends_on_latency(self) -> bool:
        """Whether predicted latency can change the decision; a live text has no length to predict from."""
        return not self.private and self.forced is None and self.length is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """The transports to try, in order (none: no request is needed), and the reason in words."""

    order: tuple[str, ...]
    why: str


def routing_request(announcement: Announcement, *, cached: bool = False) -> RoutingRequest:
    """Return what routing needs to know of an announcement."""
    return RoutingRequest(
        urgency=announcement.urgency,
        length=None if announcement.text is None else len(announcement.text),
        private=announcement.private,
        forced=announcement.transport,
        cached=cached,
    )


#: Share of announcements on which a transport is tried again, and the relative cost beyond which it is less.
TRY_SHARE, TRY_COST = 0.08, 0.05
#: The decision for an announcement whose clip is in the cache.
CACHED = Decision((), "a complete clip is in the cache")
NO_PREDICTION = LatencyPrediction()


def decide(
    request: RoutingRequest,
    routes: Sequence[Route] = DEFAULT_ROUTES,
    available: Collection[str] | None = None,
    latency: LatencyPrediction = NO_PREDICTION,
    fallbacks: Collection[str] = (),
) -> Decision:
    """Decide by the first route that matches.

    The order of a route is a preference: its transports that are measured to be slower than the fastest by more
    than `latency.guard_s` are passed over. `auto` orders by the predicted latency alone.

    Args:
        request: What is known of the announcement.
        routes: The routes, in order.
        available: The transports that can be used. Others are left out, and the reason says so.
        latency: The predicted latency of each transport.
        fallbacks: The transports whose role is `Role.FALLBACK`, which `local` in a route stands for.
    """
    decision, route = _by_rule(request, routes)
    usable = [name for name in decision.order if available is None or name in available]
    if decision.order == (AUTO,):
        decision = _by_latency(request, available, latency)
    elif route is not None and request.length is not None and latency.guard_s is not None:
        primary = [name for name in usable if name not in {FALLBACK_ALIAS, *fallbacks}]
        if primary and primary[0] == usable[0]:
            decision = _guarded(decision, primary, latency, may_try=request.may_try)
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
    """Replace the alias by the fallback transports; an installed plugin goes before the bundled one."""
    ranked = sorted(fallbacks, key=lambda name: (name == FALLBACK_ALIAS, name)) or [FALLBACK_ALIAS]
    names = [name for entry in order for name in (ranked if entry == FALLBACK_ALIAS else [entry])]
    return tuple(dict.fromkeys(names))


def _by_rule(request: RoutingRequest, routes: Sequence[Route]) -> tuple[Decision, Route | None]:
    """Return the decision without regard to latency, and the route that it follows, if it follows one."""
    if request.cached:
        return CACHED, None
    if request.private:
        return Decision((FALLBACK_ALIAS,), "private: the text never leaves the house"), None
    if (forced := request.forced) is not None:
        # Only critical announcements may leave the transport that they ask for: they are always spoken.
        is_critical = request.urgency is Urgency.CRITICAL
        order = (forced, FALLBACK_ALIAS) if is_critical and forced != FALLBACK_ALIAS else (forced,)
        return Decision(order, f"the announcement asks for {forced}"), None
    for route in routes:
        why = _matching(route.when, request) if route.when else _last_reason(routes, request)
        if why is not None:
            use = (route.use,) if isinstance(route.use, str) else tuple(dict.fromkeys(route.use))
            return Decision(use, why), route
    return Decision((FALLBACK_ALIAS,), "no route applies"), None


def _guarded(rule: Decision, names: Sequence[str], latency: LatencyPrediction, *, may_try: bool) -> Decision:
    """Put the first transport of the rule first that is slower than the fastest by no more than the guard.

    Another one is tried only if it could be faster by that much: never while the first takes less than the guard.
    """
    first, guard_s = names[0], latency.guard_s or 0.0
    if latency[first].requests < ENOUGH:
        return rule
    measured = [name for name in names if latency[name].requests >= ENOUGH]
    fastest_s = min(latency[name].seconds for name in measured)
    # The order stays a preference: the `websocket` is left free for urgent texts if the stream is as good.
    chosen = next(name for name in measured if latency[name].seconds - fastest_s <= guard_s)
    others = [name for name in names if name != chosen]
    limit_s = latency[chosen].seconds - guard_s
    if may_try and limit_s > 0:
        few = _unmeasured(latency, others, limit_s)
        if tried := few[0] if few else _outdated(latency, others, limit_s):
            numbers = _in_numbers(latency, measured)
            return Decision(_moved_first(tried, rule.order), f"{rule.why}; {tried} is tried: {numbers}")
    if chosen == first:
        return rule
    return Decision(_moved_first(chosen, rule.order), f"{rule.why}; {_in_numbers(latency, [chosen, first])}")


def _by_latency(
    request: RoutingRequest, available: Collection[str] | None, latency: LatencyPrediction
) -> Decision:
    """Order the transports of the default routes by latency; the fallback remains the last resort."""
    rule, _ = _by_rule(request, DEFAULT_ROUTES)
    if request.length is None:
        return Decision(rule.order, f"{AUTO}: {rule.why}")
    usable = [name for name in rule.order if available is None or name in available]
    names = tuple(name for name in usable if name != FALLBACK_ALIAS)
    if not names:
        return Decision((FALLBACK_ALIAS,), f"{AUTO}: no transport to choose from")
    best_s = min((latency[name].seconds for name in names if latency[name].requests), default=math.inf)
    few = _unmeasured(latency, names, best_s)
    if few and (request.may_try or all(latency[name].requests < ENOUGH for name in names)):
        order = _moved_first(few[0], names) if request.may_try and latency.of else names
        seen = ", ".join(f"{name} {latency[name].requests}" for name in names)
        how = "by the rules" if order == names else f"{few[0]} is tried, else by the rules"
        why = f"knows too little yet (requests: {seen}), {how}: {rule.why}"
        return Decision((*order, FALLBACK_ALIAS), f"{AUTO}: {why}")
    order = tuple(sorted(names, key=lambda name: (not latency[name].requests, latency[name].seconds)))
    why = _in_numbers(latency, order)
    if request.may_try and (tried := _outdated(latency, order[1:], latency[order[0]].seconds)):
        order, why = _moved_first(tried, order), f"{tried} is tried, which may be faster by now; {why}"
    return Decision((*order, FALLBACK_ALIAS), f"{AUTO}: {why}")


def _unmeasured(latency: LatencyPrediction, names: Sequence[str], limit_s: float) -> list[str]:
    """Return those with too few requests that may take less than `limit_s`, the least known first."""
    few = [name for name in names if latency[name].requests < ENOUGH and latency[name].at_best_s < limit_s]
    return sorted(few, key=lambda name: latency[name].requests)


def _outdated(latency: LatencyPrediction, names: Sequence[str], limit_s: float) -> str | None:
    """Return a transport that may take less than `limit_s` by now, if it is time to try it."""
    draw = latency.draw
    for name in names:
        if latency[name].at_best_s < limit_s:
            cost = (latency[name].seconds + latency[name].at_best_s) / 2 / limit_s - 1
            draw -= TRY_SHARE * min(1.0, TRY_COST / max(cost, 1e-6))
            if draw < 0:
                return name
    return None


def _in_numbers(latency: LatencyPrediction, names: Sequence[str]) -> str:
    """Return the latencies as `websocket 112 ms, http 210 ms (warm, 43 characters)`."""
    warm = {latency[name].warm for name in names}
    alike = "" if len(warm) > 1 else "warm, " if True in warm else "cold, "
    cold = {name: "" if alike or latency[name].warm else " cold" for name in names}
    told = ", ".join(f"{name} {latency[name].seconds * 1000:.0f} ms{cold[name]}" for name in names)
    return f"{told} ({alike}{latency.characters} characters)"


def _moved_first(name: str, names: Sequence[str]) -> tuple[str, ...]:
    return (name, *(other for other in names if other != name))


def _matching(when: When, request: RoutingRequest) -> str | None:
    """Return the conditions of a route in words; None if one does not hold. A live text has no length yet."""
    length, is_live, parts = request.length, request.length is None, []
    if when.live is not None:
        parts.append((when.live == is_live, "the text is live" if is_live else "the text is whole"))
    if when.urgency is not None:
        urgencies = (when.urgency,) if isinstance(when.urgency, Urgency) else when.urgency
        parts.append((request.urgency in urgencies, f"urgency is {request.urgency}"))
    if when.longer_than is not None:
        holds = length is not None and length > when.longer_than
        parts.append((holds, f"longer than {when.longer_than} characters"))
    if when.up_to is not None:
        parts.append((length is not None and length <= when.up_to, f"up to {when.up_to} characters"))
    if not all(holds for holds, _ in parts):
        return None
    return ", ".join(words for _, words in parts) or "the route applies to everything"


def _last_reason(routes: Sequence[Route], request: RoutingRequest) -> str:
    """Return why the last route applies, which has no condition: the text exceeds the others' limits."""
    bounds = [route.when.up_to for route in routes if route.when and route.when.up_to]
    exceeded = [bound for bound in bounds if request.length is not None and request.length > bound]
    return f"longer than {max(exceeded)} characters" if exceeded else "no other route applies"
