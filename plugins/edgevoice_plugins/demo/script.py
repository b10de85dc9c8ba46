"""What the demo says, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED = "Supper is ready"
"""What the demo's server refuses over HTTP, to show that another transport takes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One announcement: what is published, and what has to come of it.

    `pieces` are published one after the other as live text. `cuts_in` is published while the act before
    it is being heard; otherwise each act waits for the one before.
    """

    id: str
    title: str
    text: str = ""
    urgency: str | None = None
    pieces: tuple[str, ...] = ()
    cuts_in: bool = False
    transport: str
    steps: tuple[str, ...] = ("queued", "started", "finished")
    failed_first: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        return self.text or "".join(self.pieces)


LONG = (
    "Good evening, and here is a longer announcement. It has more characters than one short request, so it is"
    " streamed: you hear its beginning while the rest of it is still being made. If something urgent comes up in"
    " the meantime, it cuts in, and this announcement goes on afterwards from where it stopped."
)

ACTS = (
    Act(id="demo-short", title="short", text="The washing machine has finished.", transport="http"),
    Act(
        id="demo-urgent",
        title="urgent",
        text="Somebody is at the front door.",
        urgency="high",
        transport="websocket",
    ),
    Act(
        id="demo-live",
        title="live",
        pieces=(
            "This text arrives ",
            "piece by piece. ",
            "You hear its first sentence ",
            "before the last is written.",
        ),
        transport="websocket",
    ),
    Act(
        id="demo-fallback",
        title="refused once",
        text=f"{REFUSED}, although one transport was refused.",
        transport="http_stream",
        failed_first="http",
    ),
    Act(
        id="demo-long",
        title="long, interrupted",
        text=LONG,
        transport="http_stream",
        steps=("queued", "started", "interrupted", "resumed", "finished"),
    ),
    Act(
        id="demo-critical",
        title="critical, cuts in",
        text="Attention: there is water on the cellar floor!",
        urgency="critical",
        cuts_in=True,
        transport="websocket",
    ),
)
"""In the order in which they are published."""


def problem(act: Act, steps: list[str], outcome: Mapping[str, Any]) -> str | None:
    """What did not go as expected, or None."""
    if steps != list(act.steps):
        return f"went {', '.join(steps)} instead of {', '.join(act.steps)}"
    if outcome["transport"] != act.transport:
        return f"went over {outcome['transport']} instead of {act.transport}"
    failed = [attempt["transport"] for attempt in outcome["attempts"]]
    if failed != ([act.failed_first] if act.failed_first else []):
        return f"failed over {', '.join(failed) or 'none'} instead of {act.failed_first or 'none'}"
    return None
