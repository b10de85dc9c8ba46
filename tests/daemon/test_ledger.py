"""Nothing lost and nothing twice, through SIGKILL of the daemon and restarts of the broker: what was promised
ends as it was promised, and what was reported is what was heard, tone by tone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.broker import Broker
from tests.support.ordeal import Fate, Ordeal, summary, undergo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.lightning import LightningServer

SHORT = Ordeal(announcements=60, every=0.25, kills=6, restarts=2, seed=1)
WHOLE = Ordeal(announcements=600, every=0.5, kills=100, restarts=10, seed=2)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of this test, to be restarted."""
    with Broker() as broker:
        yield broker


@pytest.mark.parametrize(
    "ordeal",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(WHOLE, id="whole", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
async def test_promised_and_reported_announcements_were_heard(
    broker: Broker, lightning: LightningServer, ordeal: Ordeal
) -> None:
    fates = await undergo(ordeal, broker, lightning)
    print(summary(fates))
    wrong = [f"{fate}: {why}" for fate in fates if (why := fault_of(fate))]
    assert not wrong, "\n".join([summary(fates), *wrong])
    critical = [fate for fate in fates if fate.urgency == "critical"]
    assert sum(bool(fate.finished) for fate in critical) >= 0.95 * len(critical)


def fault_of(fate: Fate) -> str | None:
    """Return the broken promises."""
    return _of_reports(fate) or (_of_normal(fate) if fate.urgency == "normal" else _of_promised(fate))


def _of_reports(fate: Fate) -> str | None:
    if not fate.acknowledged:
        return "never acknowledged"
    if any(outcome["event_type"] == "failed" for outcome in fate.outcomes):
        return "failed, though the server was up"
    if sum(not outcome["repeated"] for outcome in fate.outcomes) > 1:
        return "more than one outcome, and the second is not marked as repeated"
    if fate.finished and not fate.heard:
        return "reported, but not heard"
    return None


def _of_promised(fate: Fate) -> str | None:
    if not fate.outcomes:
        return "no outcome"
    if fate.heard and not fate.finished:
        return "heard, but not reported"
    if fate.heard > 1 and not any(event["repeated"] for event in fate.events):
        return "heard twice, but not marked as repeated"
    return None


def _of_normal(fate: Fate) -> str | None:
    interrupted = sum(event["event_type"] == "interrupted" for event in fate.events)
    if fate.heard > 1 or fate.begun > 1 + interrupted:
        return "a normal one that was heard twice"
    if fate.heard and fate.outcomes and not fate.finished:
        return "heard, but reported otherwise"
    return None
