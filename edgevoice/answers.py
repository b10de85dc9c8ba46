"""What the daemon answers to the command line: its history, and what it would do with an announcement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgevoice.assembly import routes, speakers_by_target
from edgevoice.cache.cache import build_cache
from edgevoice.commands import Say
from edgevoice.config.meaning import expanded
from edgevoice.errors import EdgeVoiceError
from edgevoice.explaining import SpeakerSnapshot, explain_route, explain_speaker
from edgevoice.intake.making import build_announcement
from edgevoice.intake.payload import parse_payload
from edgevoice.manners import chimes_dir, local_clock, speaker_policy
from edgevoice.routing import NO_OUTLOOK
from edgevoice.secrets import api_key
from edgevoice.speaker.chimes import NO_CHIME, Chimes
from edgevoice.speaker.presence import SpeakerSettings
from edgevoice.state import find_state_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.cache.cache import Cache
    from edgevoice.cache.phrases import Prerenderer
    from edgevoice.config import Settings
    from edgevoice.forecast.outlook import LatencyPrediction
    from edgevoice.journal.keeper import Keeper
    from edgevoice.node import Node
    from edgevoice.speaker.speaker import Speaker


def build_handlers(
    settings: Settings,
    node: Node,
    keeper: Keeper,
    cache: Cache,
    phrases: Prerenderer,
    outlook: Callable[[str | None], LatencyPrediction],
) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """A function for each thing that can be asked."""

    def kept(question: dict[str, Any]) -> dict[str, Any]:
        state = {**cache.state, "phrases": len(phrases), "ready": phrases.ready}
        if question.get("clear"):
            cache.clear()
        return state

    def explain(question: dict[str, Any]) -> dict[str, Any]:
        announcement = parse_explain_request(settings, question)
        on = [
            explain_speaker(name, announcement, node.speakers[name].presence, _snapshot(node.speakers[name]))
            for name in speakers_by_target(settings)[announcement.target]
        ]
        taken = (
            "accepted"
            if node.intake.would_accept(announcement)
            else "suppressed: there are too many (limits)"
        )
        return {
            **_common(settings, announcement, cache, outlook(announcement.text)),
            "intake": taken,
            "speakers": on,
            "from": "the running daemon",
        }

    return {
        "explain": explain,
        "history": lambda question: keeper.history[-int(question.get("last", 500)) :],
        "cache": kept,
    }


def explain_from_config(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    """The same from the configuration alone: nothing is being said, nothing waits, no switch is set.

    Raises:
        EdgeVoiceError: nobody answers to the target.
        Refused: the text would not be accepted.
    """
    announcement, clock = parse_explain_request(settings, question), local_clock(settings.core)
    on = []
    for name in speakers_by_target(settings)[announcement.target]:
        options = settings.core.speakers[name]
        presence = SpeakerSettings(speaker_policy(settings.core, options), options.volume, clock)
        on.append(explain_speaker(name, announcement, presence, SpeakerSnapshot()))
    alone = {"intake": "accepted", "speakers": on, "from": "the configuration alone"}
    folder = expanded(str(find_state_dir(settings.core.state_dir)))
    return {**_common(settings, announcement, build_cache(settings, folder, api_key(settings))), **alone}


def parse_explain_request(settings: Settings, question: dict[str, Any]) -> Announcement:
    """The announcement that is asked about."""
    target = str(question["target"])
    if target not in speakers_by_target(settings):
        raise EdgeVoiceError(
            f"nobody answers to {target!r}; there are: {', '.join(speakers_by_target(settings))}"
        )
    payload = str(question["text"]).encode("utf-8", "surrogateescape")
    known = {
        "transport": _available_transports(settings),
        "chime": [*Chimes(chimes_dir(settings)).names, NO_CHIME],
    }
    reading = parse_payload(payload, question.get("urgency"), known)
    say = Say(target=target, payload=payload)
    return build_announcement(say, reading.values, reading.warnings, received_monotonic=0.0)


def _common(
    settings: Settings, announcement: Announcement, cache: Cache, outlook: LatencyPrediction = NO_OUTLOOK
) -> dict[str, Any]:
    cached = cache.contains(cache.key(announcement, announcement.text))
    return {
        "target": announcement.target,
        "urgency": str(announcement.urgency),
        "characters": len(announcement.text or ""),
        "warnings": list(announcement.warnings),
        **explain_route(
            announcement, routes(settings), _available_transports(settings), outlook, cached=cached
        ),
    }


def _available_transports(settings: Settings) -> list[str]:
    return [name for name, kind in settings.plugins.transports.items() if kind.missing_dependency() is None]


def _snapshot(speaker: Speaker) -> SpeakerSnapshot:
    current, heard_s = speaker.saying
    return SpeakerSnapshot(current, heard_s, [turn.announcement for turn in speaker.backlog])
