"""What the daemon answers to the command line: its history, and what it would do with an announcement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgevoice.assembly import routes, targets
from edgevoice.cache import cache_of
from edgevoice.chimes import NO_CHIME, Chimes
from edgevoice.commands import Say
from edgevoice.config.meaning import expanded
from edgevoice.errors import EdgeVoiceError
from edgevoice.explaining import Scene, explain_on, explain_route
from edgevoice.making import announcement_from
from edgevoice.manners import chimes_dir, local_clock, manners_of
from edgevoice.payload import read_payload
from edgevoice.presence import Presence
from edgevoice.routing import NO_OUTLOOK
from edgevoice.secrets import api_key
from edgevoice.state import find_state_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.announcement import Announcement
    from edgevoice.cache import Cache
    from edgevoice.config import Settings
    from edgevoice.keeper import Keeper
    from edgevoice.node import Node
    from edgevoice.outlook import Outlook
    from edgevoice.phrases import Phrases
    from edgevoice.speaker import Speaker


def answers(
    settings: Settings,
    node: Node,
    keeper: Keeper,
    cache: Cache,
    phrases: Phrases,
    outlook: Callable[[str | None], Outlook],
) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """A function for each thing that can be asked."""

    def kept(question: dict[str, Any]) -> dict[str, Any]:
        state = {**cache.state, "phrases": len(phrases), "ready": phrases.ready}
        if question.get("clear"):
            cache.clear()
        return state

    def explain(question: dict[str, Any]) -> dict[str, Any]:
        announcement = announced(settings, question)
        on = [
            explain_on(name, announcement, node.speakers[name].presence, _scene(node.speakers[name]))
            for name in targets(settings)[announcement.target]
        ]
        taken = (
            "accepted" if node.intake.would_take(announcement) else "suppressed: there are too many (limits)"
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


def explain_alone(settings: Settings, question: dict[str, Any]) -> dict[str, Any]:
    """The same from the configuration alone: nothing is being said, nothing waits, no switch is set.

    Raises:
        EdgeVoiceError: nobody answers to the target.
        Refused: the text would not be accepted.
    """
    announcement, clock = announced(settings, question), local_clock(settings.core)
    on = []
    for name in targets(settings)[announcement.target]:
        options = settings.core.speakers[name]
        presence = Presence(manners_of(settings.core, options), options.volume, clock)
        on.append(explain_on(name, announcement, presence, Scene()))
    alone = {"intake": "accepted", "speakers": on, "from": "the configuration alone"}
    folder = expanded(str(find_state_dir(settings.core.state_dir)))
    return {**_common(settings, announcement, cache_of(settings, folder, api_key(settings))), **alone}


def announced(settings: Settings, question: dict[str, Any]) -> Announcement:
    """The announcement that is asked about."""
    target = str(question["target"])
    if target not in targets(settings):
        raise EdgeVoiceError(f"nobody answers to {target!r}; there are: {', '.join(targets(settings))}")
    payload = str(question["text"]).encode("utf-8", "surrogateescape")
    known = {"transport": _usable(settings), "chime": [*Chimes(chimes_dir(settings)).names, NO_CHIME]}
    reading = read_payload(payload, question.get("urgency"), known)
    say = Say(target=target, payload=payload)
    return announcement_from(say, reading.values, reading.warnings, arrived=0.0)


def _common(
    settings: Settings, announcement: Announcement, cache: Cache, outlook: Outlook = NO_OUTLOOK
) -> dict[str, Any]:
    cached = cache.holds(cache.name(announcement, announcement.text))
    return {
        "target": announcement.target,
        "urgency": str(announcement.urgency),
        "characters": len(announcement.text or ""),
        "warnings": list(announcement.warnings),
        **explain_route(announcement, routes(settings), _usable(settings), outlook, cached=cached),
    }


def _usable(settings: Settings) -> list[str]:
    return [name for name, kind in settings.plugins.transports.items() if kind.missing() is None]


def _scene(speaker: Speaker) -> Scene:
    current, heard_s = speaker.saying
    return Scene(current, heard_s, [turn.announcement for turn in speaker.backlog])
