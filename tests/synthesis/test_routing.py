"""The table of routes, each row with its reason, and what may never happen whatever the routes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice import Urgency
from edgevoice.config.options import Route, When
from edgevoice.forecast.outlook import ExpectedLatency, LatencyPrediction
from edgevoice.synthesis.routing import DEFAULT_ROUTES, Decision, RoutingRequest, decide
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


def test_a_forced_transport_that_is_absent_leaves_nothing_but_to_a_critical_one():
    assert decide(said(forced="fax"), available=URGENT).order == ()
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
        "http": ExpectedLatency(0.2, 0.001, 9, known=True),
        "http_stream": ExpectedLatency(0.15, 0.001, 9, known=True),
        "websocket": ExpectedLatency(0.1, 0.001, 9, known=True),
        "local": ExpectedLatency(0.01, 0.001, 9, known=True),
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


def test_auto_without_measurements_goes_by_the_rules_and_says_so():
    assert decide(said(), AUTO, URGENT).order == SHORT
    assert decide(said(Urgency.HIGH), AUTO).order == URGENT
    assert decide(said(length=200), AUTO).why == (
        "auto: knows too little yet (requests: http_stream 0, websocket 0, http 0), "
        "by the rules: longer than 140 characters"
    )


def test_what_measurements_say_nothing_about_stays_as_it_is():
    assert decide(said(length=None), AUTO, URGENT, MEASURED) == Decision(
        ("websocket", "http_stream", "local"), "auto: the text is live"
    )
    assert decide(said(), AUTO, ("local",), MEASURED) == Decision(
        ("local",), "auto: there is nothing to choose from"
    )
    assert decide(said(Urgency.LOW), AUTO, URGENT, MEASURED) == Decision(("http",), "urgency is low")
    assert decide(said(private=True), AUTO, URGENT, MEASURED).order == ("local",)
    assert decide(said(forced="http"), AUTO, URGENT, MEASURED).order == ("http",)


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
    uncertainty=st.floats(0, 60),
    requests=st.integers(0, 9),
    known=st.booleans(),
    warm=st.booleans(),
)
OUTLOOK = st.builds(
    LatencyPrediction,
    characters=st.integers(0, 250),
    of=st.dictionaries(NAMES, EXPECTED),
    draw=st.floats(0, 1),
)


@examples(300)
@given(
    what=WHAT, routes=ROUTES | st.just(DEFAULT_ROUTES), available=st.none() | st.sets(NAMES), outlook=OUTLOOK
)
def test_every_decision_has_a_reason_and_no_transport_twice(what, routes, available, outlook):
    decision = decide(what, routes, available, outlook)
    assert decision.why
    assert len(set(decision.order)) == len(decision.order)
    assert available is None or set(decision.order) <= available
    assert decision == decide(what, routes, available, outlook)
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
