"""What the speakers answer to one announcement that was published, and whether that is all."""

from __future__ import annotations

import json
from typing import Any

from edgevoice.outcome import OUTCOMES, EventType

_WELL = frozenset({EventType.FINISHED, EventType.HELD})
_SETTLED = OUTCOMES | {EventType.HELD, EventType.DUPLICATE}


class Answers:
    """The last step of each speaker that has answered to the announcement `id`."""

    def __init__(self, id: str) -> None:  # noqa: A002 - as the contract calls it
        self.id = id
        self.steps: dict[str, str] = {}
        self.refused = False

    def take(self, payload: bytes) -> dict[str, Any] | None:
        """Note an event; returns it if it is about this announcement."""
        try:
            event = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(event, dict) or event.get("id") != self.id:
            return None
        if event.get("event_type") == "rejected":
            self.refused = True
        elif isinstance(event.get("speaker"), str):
            self.steps[event["speaker"]] = str(event.get("event_type"))
        return event

    @property
    def came(self) -> bool:
        return self.refused or bool(self.steps)

    @property
    def are_settled(self) -> bool:
        """Whether each speaker that has answered is done with it."""
        return self.came and not self.waiting

    @property
    def are_good(self) -> bool:
        """Whether each speaker that has answered finished or held it."""
        return bool(self.steps) and not self.refused and set(self.steps.values()) <= _WELL

    @property
    def waiting(self) -> dict[str, str]:
        return {speaker: step for speaker, step in self.steps.items() if step not in _SETTLED}


def line(event: dict[str, Any]) -> str:
    """One step, for the eye."""
    details = [event.get("reason"), event.get("key"), event.get("allowed"), event.get("transport")]
    if spoken := event.get("spoken_s"):
        details.append(f"{spoken:g} s spoken")
    who = event.get("speaker") or event.get("node") or "?"
    told = ", ".join(str(detail) for detail in details if detail is not None)
    return f"{who:<16} {event.get('event_type'):<12} {told}".rstrip()
