"""What would be done with an announcement, and why, without saying it: the same functions as when it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevoice.routing import NO_OUTLOOK, decide, routing_request
from edgevoice.speaker.rules import Against, against

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.config.options import Route
    from edgevoice.forecast.outlook import LatencyPrediction
    from edgevoice.speaker.presence import SpeakerSettings


@dataclass(frozen=True, slots=True)
class SpeakerSnapshot:
    """How a speaker stands: what it says and of that so many seconds, and what waits, in order."""

    current: Announcement | None = None
    heard_s: float = 0.0
    waiting: Sequence[Announcement] = ()


_DOES = {
    Against.NOW: "interrupts what is being said at once",
    Against.AT_PAUSE: "interrupts what is being said at its next pause, at the latest after 2 s",
    Against.JOIN: "joins what is being said: the same alarm",
    Against.WAIT: "waits until what is being said has ended",
}


def explain_speaker(
    speaker: str, announcement: Announcement, presence: SpeakerSettings, scene: SpeakerSnapshot
) -> dict[str, Any]:
    """What one speaker would do now."""
    held = presence.posture.holds(announcement.urgency)
    ahead = sum(waiting.urgency.rank >= announcement.urgency.rank for waiting in scene.waiting)
    if held is not None:
        what = f"is held: {held}"
    elif scene.current is None:
        what = "is said at once" if not ahead else f"waits for {ahead}"
    else:
        what = _DOES[against(announcement, scene.current, scene.heard_s)]
    return {
        "speaker": speaker,
        "what": what,
        "held": held,
        "ahead": ahead,
        "volume": presence.loudness(announcement),
        "chime": presence.chime(announcement),
        "ttl": announcement.ttl,
    }


def explain_route(
    announcement: Announcement,
    routes: Sequence[Route],
    available: Collection[str],
    outlook: LatencyPrediction = NO_OUTLOOK,
    *,
    cached: bool = False,
) -> dict[str, Any]:
    """Which transports it would take."""
    decision = decide(routing_request(announcement, cached=cached), routes, available, outlook)
    return {"transports": list(decision.order), "why": decision.why}
