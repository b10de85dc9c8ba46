"""The events that speakers publish about one announcement, and whether more are expected."""

from __future__ import annotations

import json
from typing import Any

from edgevoice import EventType

_SUCCESSES = frozenset({EventType.FINISHED, EventType.HELD})
_FINAL = frozenset({*(step for step in EventType if step.is_outcome), EventType.HELD, EventType.DUPLICATE})


class ReplyCollector:
    """The last event type of each speaker that has replied about the announcement `id`."""

    def __init__(self, id: str) -> None:  # noqa: A002 - the contract's name for it
        self.id = id
        self.last_events: dict[str, str] = {}
        self.rejected = False

    def add(self, payload: bytes) -> dict[str, Any] | None:
        """Add the payload of an event; return the event if it is about this announcement."""
        try:
            event = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(event, dict) or event.get("id") != self.id:
            return None
        if event.get("event_type") == "rejected":
            self.rejected = True
        elif isinstance(event.get("speaker"), str):
            self.last_events[event["speaker"]] = str(event.get("event_type"))
        return event

    @property
    def any_reply(self) -> bool:
        return self.rejected or bool(self.last_events)

    @property
    def done(self) -> bool:
        """Whether every speaker that replied is done with the announcement."""
        return self.any_reply and not self.pending

    @property
    def succeeded(self) -> bool:
        """Whether every speaker that replied finished or held the announcement."""
        return bool(self.last_events) and not self.rejected and set(self.last_events.values()) <= _SUCCESSES

    @property
    def pending(self) -> dict[str, str]:
        """The last event type of each speaker that is not done."""
        return {speaker: step for speaker, step in self.last_events.items() if step not in _FINAL}


def format_event(event: dict[str, Any]) -> str:
    """Return an event as a line for the terminal."""
    details = [event.get("reason"), event.get("key"), event.get("allowed"), event.get("transport")]
    if spoken_s := event.get("spoken_s"):
        details.append(f"{spoken_s:g} s spoken")
    name = event.get("speaker") or event.get("node") or "?"
    shown = ", ".join(str(detail) for detail in details if detail is not None)
    return f"{name:<16} {event.get('event_type'):<12} {shown}".rstrip()
