"""The daemon's own door for the command line: a socket in its state folder, one question a line, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from typing import TYPE_CHECKING, Any, Self

from edgevoice.audio.chimes import NO_CHIME, Chimes
from edgevoice.cache.cache import cache_dir
from edgevoice.cache.files import ClipFiles
from edgevoice.cache.key import KeyScheme
from edgevoice.commands import Say
from edgevoice.components import (
    available_transports,
    fallback_transports,
    routes,
    speakers_by_target,
    unconfigured_transports,
)
from edgevoice.composition import chimes_dir, local_clock, speaker_policy
from edgevoice.config.options import FALLBACK_ALIAS
from edgevoice.errors import EdgeVoiceError
from edgevoice.intake.intake import build_announcement
from edgevoice.intake.payload import parse_payload
from edgevoice.paths import expanded, find_state_dir
from edgevoice.playback.speaker import SpeakerSnapshot
from edgevoice.scheduler.policy import Preemption, preemption_for
from edgevoice.scheduler.settings import SpeakerSettings
from edgevoice.synthesis.routing import NO_OUTLOOK, decide, routing_request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.cache.cache import Cache
    from edgevoice.cache.prerender import Prerenderer
    from edgevoice.composition import Node
    from edgevoice.config import Settings
    from edgevoice.config.options import Route
    from edgevoice.forecast.outlook import LatencyPrediction

logger = logging.getLogger(__name__)

SOCKET_NAME = "control.sock"
MAX_LINE_BYTES = 256 * 1024
TIMEOUT_S = 5.0
"""Seconds for a question to come, and for an answer."""
Answer = dict[str, Any]


class Control:
    """Answers questions; `answers` maps what is asked to a function of the question. Use as `async with`."""

    def __init__(self, folder: Path, answers: dict[str, Callable[[Answer], Any]]) -> None:
        self._path = folder / SOCKET_NAME
        self._answers = answers
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # of a daemon that was killed; two at once are refused by the store
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE_BYTES)
            self._path.chmod(0o600)
        except OSError as error:
            logger.warning(
                "the command line cannot ask this daemon: %s: %s", self._path, error.strerror or error
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                line = await reader.readline()
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            logger.debug("a question on the control socket was not whole")
        finally:
            writer.close()

    def _answer(self, line: bytes) -> Answer:
        try:
            question = json.loads(line)
            return {"answer": self._answers[question["ask"]](question)}
        except EdgeVoiceError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": "that is no question this version knows"}


def query(folder: Path, **question: Any) -> Any:
    """Ask the running daemon; None where none runs.

    Raises:
        EdgeVoiceError: it could not be asked, or answered that the question is wrong.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(folder / SOCKET_NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise EdgeVoiceError(
                f"the daemon cannot be asked: {folder / SOCKET_NAME}: {error.strerror or error}"
            ) from None
        with connection.makefile("rwb") as stream:
            try:
                stream.write(json.dumps(question).encode() + b"\n")
                stream.flush()
                reply = json.loads(stream.readline())
            except (OSError, ValueError):
                raise EdgeVoiceError("the daemon did not answer") from None
    if "error" in reply:
        raise EdgeVoiceError(reply["error"])
    return reply["answer"]


def build_handlers(
    settings: Settings,
    node: Node,
    cache: Cache,
    phrases: Prerenderer,
    outlook: Callable[[str | None], LatencyPrediction],
) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """A function for each thing that can be asked."""

    def kept(question: dict[str, Any]) -> dict[str, Any]:
        state = {**cache.state, "phrases": len(phrases), "ready": phrases.ready}
        if question.get("clear"):
            cache.clear()
            phrases.check_now()
        return state

    def explain(question: dict[str, Any]) -> dict[str, Any]:
        announcement = parse_explain_request(settings, question)
        now = asyncio.get_running_loop().time()
        on = [
            explain_speaker(
                name, announcement, node.speakers[name].settings, node.speakers[name].snapshot, now
            )
            for name in speakers_by_target(settings)[announcement.target]
        ]
        taken = (
            "accepted"
            if node.intake.would_accept(announcement)
            else "suppressed: there are too many (limits)"
        )
        return {
            **_common(settings, announcement, cache.contains, outlook(announcement.text)),
            "intake": taken,
            "speakers": on,
            "from": "the running daemon",
        }

    return {
        "explain": explain,
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
        speaker = SpeakerSettings(speaker_policy(settings, options), options.volume, clock)
        on.append(explain_speaker(name, announcement, speaker, SpeakerSnapshot(), 0.0))
    alone = {"intake": "accepted", "speakers": on, "from": "the configuration alone"}
    files = ClipFiles(cache_dir(expanded(str(find_state_dir(settings.core.state_dir)))))
    return {**_common(settings, announcement, files.has), **alone}


def parse_explain_request(settings: Settings, question: dict[str, Any]) -> Announcement:
    """The announcement that is asked about."""
    target = str(question["target"])
    if target not in speakers_by_target(settings):
        raise EdgeVoiceError(
            f"nobody answers to {target!r}; there are: {', '.join(speakers_by_target(settings))}"
        )
    payload = str(question["text"]).encode("utf-8", "surrogateescape")
    known = {
        "transport": [*available_transports(settings), *unconfigured_transports(settings), FALLBACK_ALIAS],
        "chime": [*Chimes(chimes_dir(settings)).names, NO_CHIME],
    }
    reading = parse_payload(payload, question.get("urgency"), known)
    say = Say(target=target, payload=payload)
    return build_announcement(say, reading.values, reading.warnings, received_monotonic=0.0)


def _common(
    settings: Settings,
    announcement: Announcement,
    is_cached: Callable[[str], bool],
    outlook: LatencyPrediction = NO_OUTLOOK,
) -> dict[str, Any]:
    available, fallbacks = available_transports(settings), fallback_transports(settings)
    order = decide(routing_request(announcement), routes(settings), available, outlook, fallbacks).order
    text = settings.plugins.filter_text(
        announcement.text or "", announcement.language or settings.speech.language
    )
    key = KeyScheme(settings).key(announcement, text, order[0]) if order else None
    cached = settings.core.cache.enabled and key is not None and is_cached(key)
    return {
        "target": announcement.target,
        "urgency": str(announcement.urgency),
        "characters": len(announcement.text or ""),
        "warnings": list(announcement.warnings),
        **explain_route(announcement, routes(settings), available, outlook, fallbacks, cached=cached),
    }


_DOES = {
    Preemption.NOW: "interrupts what is being said at once",
    Preemption.AT_PAUSE: "interrupts what is being said at its next pause, at the latest after 2 s",
    Preemption.COALESCE: "joins what is being said: the same alarm",
    Preemption.WAIT: "waits until what is being said has ended",
}


def explain_speaker(
    speaker: str, announcement: Announcement, settings: SpeakerSettings, snapshot: SpeakerSnapshot, now: float
) -> dict[str, Any]:
    """Return what one speaker would do at `now` (monotonic seconds)."""
    held = settings.hold_state(now).holds(announcement.urgency)
    ahead = sum(waiting.urgency.rank >= announcement.urgency.rank for waiting in snapshot.waiting)
    if held is not None:
        what = f"is held: {held}"
    elif snapshot.current is None:
        what = "is said at once" if not ahead else f"waits for {ahead}"
    else:
        what = _DOES[preemption_for(announcement, snapshot.current, snapshot.heard_s)]
    return {
        "speaker": speaker,
        "what": what,
        "held": held,
        "ahead": ahead,
        "volume": settings.effective_volume(announcement, now),
        "chime": settings.chime(announcement),
        "ttl": announcement.ttl,
    }


def explain_route(
    announcement: Announcement,
    routes: Sequence[Route],
    available: Collection[str],
    outlook: LatencyPrediction = NO_OUTLOOK,
    fallbacks: Collection[str] = (),
    *,
    cached: bool = False,
) -> dict[str, Any]:
    """Return which transports it would take, and why."""
    request = routing_request(announcement, cached=cached)
    decision = decide(request, routes, available, outlook, fallbacks)
    return {"transports": list(decision.order), "why": decision.why}
