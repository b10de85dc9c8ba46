"""The scenario of the demo: its announcements, and the events expected of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The demo's server refuses a text with these words over HTTP, to show that another transport takes over.
REFUSED = "Supper is ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the demo: the announcement to publish, and the events and the transport expected of it."""

    id: str
    title: str
    text: str = ""
    urgency: str | None = None
    #: Chunks of live text, published one after the other in place of `text`.
    chunks: tuple[str, ...] = ()
    #: Published while the step before it is playing; all other steps wait for the one before.
    interrupts: bool = False
    transport: str
    event_types: tuple[str, ...] = ("queued", "started", "finished")
    #: The transport that is tried first and fails.
    failed_first: str | None = None

    @property
    def full_text(self) -> str:
        return self.text or "".join(self.chunks)


LONG = (
    "Good evening, and here is a longer announcement. It has more characters than one short request, so it is"
    " streamed: you hear its beginning while the rest of it is still being made. If something urgent comes up in"
    " the meantime, it cuts in, and this announcement goes on afterwards from where it stopped."
)

#: In the order in which they are published.
STEPS = (
    Step(id="demo-short", title="short", text="The washing machine has finished.", transport="http"),
    Step(
        id="demo-urgent",
        title="urgent",
        text="Someone is at the front door.",
        urgency="high",
        transport="websocket",
    ),
    Step(
        id="demo-live",
        title="live",
        chunks=(
            "This text arrives ",
            "piece by piece. ",
            "You hear its first sentence ",
            "before the last is written.",
        ),
        transport="websocket",
    ),
    Step(
        id="demo-fallback",
        title="refused once",
        text=f"{REFUSED}, although one transport was refused.",
        transport="http_stream",
        failed_first="http",
    ),
    Step(
        id="demo-long",
        title="long, interrupted",
        text=LONG,
        transport="http_stream",
        event_types=("queued", "started", "interrupted", "resumed", "finished"),
    ),
    Step(
        id="demo-critical",
        title="critical, cuts in",
        text="Attention: there is water on the cellar floor!",
        urgency="critical",
        interrupts=True,
        transport="websocket",
    ),
)


def mismatch(step: Step, event_types: list[str], outcome: Mapping[str, Any]) -> str | None:
    """Return how an announcement differs from what was expected, None if it does not."""
    if event_types != list(step.event_types):
        return f"its events were {', '.join(event_types)}; expected {', '.join(step.event_types)}"
    if outcome["transport"] != step.transport:
        return f"the transport was {outcome['transport']}; expected {step.transport}"
    failed = [attempt["transport"] for attempt in outcome["attempts"]]
    if failed != ([step.failed_first] if step.failed_first else []):
        return f"failed transports were {', '.join(failed) or 'none'}; expected {step.failed_first or 'none'}"
    return None
