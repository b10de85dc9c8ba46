"""The table of routes, each row with its reason, and what may never happen whatever the routes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice import Urgency
from edgevoice.config.options import Route, When
from edgevoice.synthesis.latency import ExpectedLatency, LatencyPrediction
from edgevoice.synthesis.routing import DEFAULT_ROUTES, TRY_SHARE, Decision, RoutingRequest, decide
from tests.support.examples import examples


def said(urgency=Urgency.NORMAL, length=50, **more):
    return RoutingRequest(urgency=urgency, length=length, **more)


URGENT = ("websocket", "http_stream", "http", "local")
SHORT = ("http", "http_stream", "websocket", "local")
LONG = ("http_stream", "websocket", "http", "local")


@pytest.mark.parametrize(
    ("what", "order", "why"),
    [
        (said(cached=True), (), "a complete clip is in the cache"),
        (said(cached=True, private=True, urgency=Urgency.CRITICAL), (), "a complete clip is in the cache"),
        (said(private=True), ("local",), "private: the text never leaves the house"),
        (said(private=True, forced="http"), ("local",), "private: the text never leaves the house"),
        (said(private=True, length=None), ("local",), "private: the text never leaves the house"),
        (said(length=None), ("websocket", "http_stream", "local"), "the text is live"),
        (
            said(length=None, urgency=Urgency.CRITICAL),
            ("websocket", "http_stream", "local"),
            "the text is live",
        ),
        (said(Urgency.CRITICAL), URGENT, "urgency is critical"),
        (said(Urgency.HIGH, 8000), URGENT, "urgency is high"),
        (said(Urgency.NORMAL, 1), SHORT, "up to 140 characters"),
        (said(Urgency.LOW, 140), SHORT, "up to 140 characters"),
        (said(Urgency.LOW, 141), LONG, "longer than 140 characters"),
        (said(Urgency.NORMAL, 8000), LONG, "longer than 140 characters"),
        (said(forced="websocket"), ("websocket",), "the announcement asks for websocket"),
        (said(Urgency.HIGH, forced="http"), ("http",), "the announcement asks for http"),
        (said(Urgency.CRITICAL, forced="http"), ("http", "local"), "the announcement asks for http"),
        (said(Urgency.CRITICAL, forced="local"), ("local",), "the announcement asks for local"),
    ],
)
def test_each_row_of_the_table_has_its_order_and_its_reason(what, order, why):
    assert decide(what) == Decision(order, why)


def test_a_transport_that_is_absent_is_left_out_and_the_reason_says_so():
    assert decide(said(), available={"http_stream", "local"}) == Decision(
        ("http_stream", "local"), "up to 140 characters; http and websocket not available"
    )
    assert decide(said(), available=URGENT).why == "up to 140 characters"


def test_a_forced_transport_that_is_not_available_falls_back():
    assert decide(said(forced="fax"), available=URGENT).order == ("local",)
    assert "fax not available" in decide(said(forced="fax"), available=URGENT).why
    assert decide(said(Urgency.CRITICAL, forced="fax"), available=URGENT).order == ("local",)


def test_the_first_route_that_applies_wins_and_every_condition_of_it_has_to_hold():
    routes = (
        Route(when=When(urgency=Urgency.LOW, longer_than=10, up_to=20, live=False), use=("a",)),
        Route(when=When(live=False), use=("b",)),
        Route(use=("c",)),
    )
    assert decide(said(Urgency.LOW, 20), routes) == Decision(
        ("a",), "the text is whole, urgency is low, longer than 10 characters, up to 20 characters"
    )
    for length, urgency in ((10, Urgency.LOW), (21, Urgency.LOW), (15, Urgency.HIGH)):
        assert decide(said(urgency, length), routes) == Decision(("b",), "the text is whole")
    assert decide(said(length=None), routes) == Decision(("c",), "no other route applies")


def test_without_any_route_that_applies_the_local_voice_speaks():
    assert decide(said(), ()) == Decision(("local",), "no route applies")


AUTO = (Route(when=When(urgency=Urgency.LOW), use=("http",)), Route(use="auto"))
MEASURED = LatencyPrediction(
    43,
    {
        "http": ExpectedLatency(0.2, 0.2, 9),
        "http_stream": ExpectedLatency(0.15, 0.15, 9),
        "websocket": ExpectedLatency(0.1, 0.1, 9),
        "local": ExpectedLatency(0.01, 0.01, 9),
    },
)


def test_auto_takes_the_transports_of_the_rules_the_quickest_first_and_the_local_voice_last():
    assert decide(said(length=43), AUTO, URGENT, MEASURED) == Decision(
        ("websocket", "http_stream", "http", "local"),
        "auto: websocket 100 ms, http_stream 150 ms, http 200 ms (warm, 43 characters)",
    )
    assert decide(said(length=43), AUTO, ("http", "http_stream", "local"), MEASURED) == Decision(
        ("http_stream", "http", "local"), "auto: http_stream 150 ms, http 200 ms (warm, 43 characters)"
    )


def test_reason_tells_which_connection_is_cold():
    cold = {**MEASURED.of, "http": ExpectedLatency(0.2, 0.2, 9, warm=False)}
    why = decide(said(length=43), AUTO, URGENT, LatencyPrediction(43, cold)).why
    assert why == "auto: websocket 100 ms, http_stream 150 ms, http 200 ms cold (43 characters)"


def test_auto_tries_rarely_and_only_what_may_be_faster():
    of = {"http": ExpectedLatency(1.0, 0.5, 9), "websocket": ExpectedLatency(0.1, 0.1, 9)}

    def tried(http_stream):
        known = {**of, "http_stream": http_stream}
        latencies = [LatencyPrediction(43, known, step / 500) for step in range(500)]
        decisions = [decide(said(), AUTO, URGENT, latency) for latency in latencies]
        return [one.order[0] for one in decisions if one.order[0] != "websocket"], decisions[0].why

    cheap, why = tried(ExpectedLatency(0.11, 0.09, 9))
    assert set(cheap) == {"http_stream"}
    assert len(cheap) <= TRY_SHARE * 500
    assert why.startswith("auto: http_stream is tried")
    costly, _ = tried(ExpectedLatency(1.0, 0.05, 9))
    assert 0 < len(costly) < len(cheap) / 5
    none, _ = tried(ExpectedLatency(0.11, 0.11, 9))
    assert not none


def test_auto_without_measurements_goes_by_the_rules_and_says_so():
    assert decide(said(), AUTO, URGENT).order == SHORT
    assert decide(said(Urgency.HIGH), AUTO).order == URGENT
    assert decide(said(length=200), AUTO).why == (
        "auto: knows too little yet (requests: http_stream 0, websocket 0, http 0), "
        "by the rules: longer than 140 characters"
    )


def test_route_order_stays_without_measurements():
    assert decide(said(length=None), AUTO, URGENT, MEASURED) == Decision(
        ("websocket", "http_stream", "local"), "auto: the text is live"
    )
    assert decide(said(), AUTO, ("local",), MEASURED) == Decision(
        ("local",), "auto: no transport to choose from"
    )
    assert decide(said(Urgency.LOW), AUTO, URGENT, MEASURED) == Decision(("http",), "urgency is low")
    assert decide(said(private=True), AUTO, URGENT, MEASURED).order == ("local",)
    assert decide(said(forced="http"), AUTO, URGENT, MEASURED).order == ("http",)


FEW = ExpectedLatency()


def guarded(draw=1.0, guard_s=0.05, **of):
    return LatencyPrediction(
        60,
        {
            name: one if isinstance(one, ExpectedLatency) else ExpectedLatency(one, one, 9)
            for name, one in of.items()
        },
        draw,
        guard_s,
    )


def test_guard_prefers_the_earlier_of_two_fast_transports():
    latency = guarded(http=0.3, http_stream=0.107, websocket=0.08)
    assert decide(said(), latency=latency).order[:2] == ("http_stream", "http")
    assert decide(said(), latency=guarded(http=0.3, http_stream=0.2, websocket=0.08)).order[0] == "websocket"


def test_guard_takes_a_transport_that_is_faster_by_more_than_it():
    latency = guarded(http=0.3, http_stream=0.107, websocket=0.11)
    assert decide(said(), latency=latency) == Decision(
        ("http_stream", "http", "websocket", "local"),
        "up to 140 characters; http_stream 107 ms, http 300 ms (warm, 60 characters)",
    )
    assert decide(said(Urgency.CRITICAL), latency=latency) == Decision(URGENT, "urgency is critical")
    assert (
        decide(said(Urgency.HIGH), latency=guarded(websocket=0.3, http_stream=0.1, http=0.2)).order[0]
        == "http_stream"
    )


@pytest.mark.parametrize(
    "latency",
    [
        guarded(http=0.15, http_stream=0.107, websocket=0.11),  # not by more than the guard
        guarded(guard_s=None, http=0.3, http_stream=0.107, websocket=0.11),
        guarded(http=ExpectedLatency(0.3, 0.3, 2), http_stream=0.107, websocket=0.107),
        guarded(http=0.04, http_stream=FEW, websocket=FEW),  # none could be faster by more than the guard
    ],
    ids=["close", "off", "few", "fast"],
)
def test_guard_keeps_the_order_of_the_route(latency):
    assert decide(said(), latency=latency) == Decision(SHORT, "up to 140 characters")


def test_guard_tries_what_was_not_measured_but_never_with_what_is_urgent():
    latency = guarded(http=0.3, http_stream=FEW, websocket=FEW)
    decision = decide(said(), latency=latency)
    assert decision.order == ("http_stream", "http", "websocket", "local")
    assert "http_stream is tried" in decision.why
    assert "http 300 ms" in decision.why
    urgent = guarded(websocket=0.3, http_stream=FEW, http=FEW)
    assert decide(said(Urgency.HIGH), latency=urgent) == Decision(URGENT, "urgency is high")


def test_guard_tries_a_path_again_that_may_have_become_faster():
    old = ExpectedLatency(0.2, 0.05, 9)
    latency = guarded(draw=0.0, http=0.15, http_stream=old, websocket=0.2)
    assert decide(said(), latency=latency).order[0] == "http_stream"
    assert decide(said(), latency=guarded(draw=0.9, http=0.15, http_stream=old, websocket=0.2)).order == SHORT


def test_guard_leaves_alone_what_it_must():
    latency = guarded(http=0.3, http_stream=0.1, websocket=0.1, local=0.01)
    only_http = (Route(use=("http", "local")),)
    local_first = (Route(use=("local", "http", "http_stream")),)
    assert decide(said(), only_http, latency=latency).order == ("http", "local")
    assert decide(said(), local_first, latency=latency).order == ("local", "http", "http_stream")
    assert decide(said(forced="http"), latency=latency).order == ("http",)
    assert decide(said(private=True), latency=latency).order == ("local",)
    assert decide(said(length=None), latency=latency).order == ("websocket", "http_stream", "local")
    custom = (Route(use=("http", "websocket", "http_stream", "local")),)
    assert decide(said(), custom, latency=latency).order[0] == "websocket"


NAMES = st.sampled_from(["http", "http_stream", "websocket", "local", "other"])
ROUTES = st.lists(
    st.builds(
        Route,
        when=st.none()
        | st.builds(
            When,
            live=st.none() | st.booleans(),
            urgency=st.none() | st.sampled_from(Urgency) | st.lists(st.sampled_from(Urgency)).map(tuple),
            longer_than=st.none() | st.integers(0, 300),
            up_to=st.none() | st.integers(1, 300),
        ),
        use=st.just("auto") | st.lists(NAMES, max_size=6).map(tuple),
    ),
    max_size=5,
)
WHAT = st.builds(
    RoutingRequest,
    urgency=st.sampled_from(Urgency),
    length=st.none() | st.integers(1, 8000),
    private=st.booleans(),
    forced=st.none() | NAMES,
    cached=st.booleans(),
)


EXPECTED = st.builds(
    ExpectedLatency,
    seconds=st.floats(0.001, 60),
    at_best_s=st.floats(0, 60),
    requests=st.integers(0, 9),
    warm=st.booleans(),
)
LATENCY = st.builds(
    LatencyPrediction,
    characters=st.integers(0, 250),
    of=st.dictionaries(NAMES, EXPECTED),
    draw=st.floats(0, 1),
    guard_s=st.none() | st.floats(0.001, 1),
)


@examples(300)
@given(
    what=WHAT, routes=ROUTES | st.just(DEFAULT_ROUTES), available=st.none() | st.sets(NAMES), latency=LATENCY
)
def test_every_decision_has_a_reason_and_no_transport_twice(what, routes, available, latency):
    decision = decide(what, routes, available, latency)
    assert decision.why
    assert len(set(decision.order)) == len(decision.order)
    assert available is None or set(decision.order) <= available
    assert decision == decide(what, routes, available, latency)
    if what.private and not what.cached:
        assert set(decision.order) <= {"local"}


# ---- transports by their role ----


def test_alias_stands_for_the_fallbacks_with_the_bundled_one_last():
    assert decide(said(length=10, private=True), fallbacks=("local", "piper")).order == ("piper", "local")
    order = decide(said(length=10), fallbacks={"piper"}).order
    assert order == ("http", "http_stream", "websocket", "piper")


def test_fallback_speaks_where_no_transport_of_the_route_is_available():
    decision = decide(said(length=10, forced="http"), DEFAULT_ROUTES, {"piper"}, fallbacks={"piper"})
    assert decision.order == ("piper",)
    assert "http not available" in decision.why
    assert decide(said(length=10, forced="http"), DEFAULT_ROUTES, {"websocket"}).order == ()
