"""The control socket, by which the command line asks the running daemon: one JSON request, one JSON reply."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from edgevoice.audio.chimes import NO_CHIME, Chimes
from edgevoice.cache.cache import KeyScheme, cache_dir
from edgevoice.cache.files import ClipFiles
from edgevoice.commands import Say
from edgevoice.composition import speaker_settings, speakers_by_target, system_clock, usable_transports
from edgevoice.config.options import FALLBACK_ALIAS
from edgevoice.errors import EdgeVoiceError
from edgevoice.intake.payload import build_announcement, parse_payload
from edgevoice.paths import expanded, find_state_dir
from edgevoice.playback.speaker import SpeakerSnapshot
from edgevoice.scheduler.policy import Preemption, SpeakerSettings, preemption_for
from edgevoice.synthesis.routing import NO_PREDICTION, decide, routing_request

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from edgevoice.announcement import Announcement
    from edgevoice.cache.cache import Cache
    from edgevoice.cache.prerender import Prerenderer
    from edgevoice.composition import Node
    from edgevoice.config import Settings
    from edgevoice.config.options import Route
    from edgevoice.intake.payload import Known
    from edgevoice.scheduler.policy import SpeakerSettings
    from edgevoice.synthesis.latency import LatencyPrediction

logger = logging.getLogger(__name__)

SOCKET_NAME = "control.sock"
MAX_REQUEST_BYTES = 256 * 1024
#: Time limit of a request, for the daemon and for the command line.
TIMEOUT_S = 5.0
UNKNOWN_REQUEST = "unknown request: is the daemon of another version? restart it"
Request = dict[str, Any]
Handler = Callable[[Request], Any]


class Control:
    """The server of the control socket in `state_dir`. `handlers` maps a request's `ask` to a function.

    Without the socket the daemon runs on: only the command line cannot ask it.
    """

    def __init__(self, state_dir: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = state_dir / SOCKET_NAME
        self._handlers = handlers
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # of a daemon that was killed; the store refuses a second one
        try:
            listening = _private_socket(self._path)
            self._server = await asyncio.start_unix_server(
                self._serve, sock=listening, limit=MAX_REQUEST_BYTES
            )
        except OSError as error:
            reason = error.strerror or error
            logger.warning("the command line cannot ask this daemon: %s: %s", self._path, reason)
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
                writer.write(json.dumps(self._reply(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            logger.debug("control socket: incomplete request")
        finally:
            writer.close()

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line, parse_constant=_no_constant)
            handler = self._handlers[request["ask"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": UNKNOWN_REQUEST}
        try:
            return {"answer": handler(request)}
        except EdgeVoiceError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, ArithmeticError):
            logger.debug("control socket: bad request", exc_info=True)
            return {"error": UNKNOWN_REQUEST}


def _private_socket(path: Path) -> socket.socket:
    """Bind a socket that only its owner can connect to."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Before bind: Linux gives the file the mode of the socket, so there is no moment at which others can connect.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    return listening


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity are not JSON


def query(state_dir: Path, **request: Any) -> Any:
    """Ask the running daemon. Returns None if none is running.

    Raises:
        EdgeVoiceError: the daemon cannot be reached, does not answer, or rejects the request.
    """
    path = state_dir / SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            reason = error.strerror or error
            raise EdgeVoiceError(f"cannot connect to the daemon: {path}: {reason}") from None
        with connection.makefile("rwb") as stream:
            try:
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()
                reply = json.loads(stream.readline())
            except (OSError, ValueError):
                raise EdgeVoiceError(
                    f"the daemon at {path} did not answer within {TIMEOUT_S:g} s; see its log"
                ) from None
    if "error" in reply:
        raise EdgeVoiceError(reply["error"])
    return reply["answer"]


def build_handlers(
    settings: Settings,
    node: Node,
    cache: Cache,
    phrases: Prerenderer,
    latency: Callable[[str | None], LatencyPrediction],
) -> dict[str, Handler]:
    """Return the handlers of the daemon's requests. None of them blocks."""
    known = _known_names(settings)

    def cache_state(request: Request) -> dict[str, Any]:
        state = {**cache.state, "phrases": len(phrases), "ready": phrases.ready}
        if request.get("clear"):
            cache.clear()
            phrases.check_now()
        return state

    def explain(request: Request) -> dict[str, Any]:
        announcement = parse_explain_request(settings, request, known)
        speakers = {name: (speaker.settings, speaker.snapshot) for name, speaker in node.speakers.items()}
        now, expected = asyncio.get_running_loop().time(), latency(announcement.text)
        accepted = node.intake.would_accept(announcement)
        return {
            **_explain(settings, announcement, speakers, cache.contains, expected, now),
            "intake": "accepted" if accepted else "suppressed: rate limit (limits)",
            "from": "the running daemon",
        }

    return {"explain": explain, "cache": cache_state}


def explain_from_config(settings: Settings, request: Request) -> dict[str, Any]:
    """Explain from the configuration alone, as if nothing was playing, waiting or switched.

    Raises:
        EdgeVoiceError: the target is unknown.
        InvalidAnnouncement: the text would be rejected.
    """
    announcement = parse_explain_request(settings, request, _known_names(settings))
    speakers = {
        name: (speaker_settings(settings, options), SpeakerSnapshot())
        for name, options in settings.core.speakers.items()
    }
    files = ClipFiles(cache_dir(expanded(str(find_state_dir(settings.core.state_dir)))))
    return {
        **_explain(settings, announcement, speakers, files.has),
        "intake": "accepted",
        "from": "the configuration alone",
    }


def unknown_target(settings: Settings, target: str) -> str:
    """Return the message for a target that no speaker has as its name or group."""
    return f"unknown target {target!r}; known targets: {', '.join(speakers_by_target(settings))}"


def parse_explain_request(settings: Settings, request: Request, known: Known) -> Announcement:
    """Return the announcement that a request is about; `known` are the names of transports and chimes."""
    target = str(request["target"])
    if target not in speakers_by_target(settings):
        raise EdgeVoiceError(unknown_target(settings, target))
    payload = str(request["text"]).encode("utf-8", "surrogateescape")
    parsed = parse_payload(payload, request.get("urgency"), known)
    say = Say(target=target, payload=payload)
    local_now = system_clock(settings.core).now()
    return build_announcement(say, parsed, received_monotonic=0.0, local_now=local_now)


def _known_names(settings: Settings) -> Known:
    """Return the names that a payload may use. Reads the folder of chimes, so not for the event loop."""
    usable = usable_transports(settings)
    return {
        "transport": [*usable.names, *usable.unconfigured, FALLBACK_ALIAS],
        "chime": [*Chimes(settings.core.chimes_dir).names, NO_CHIME],
    }


def _explain(
    settings: Settings,
    announcement: Announcement,
    speakers: Mapping[str, tuple[SpeakerSettings, SpeakerSnapshot]],
    is_cached: Callable[[str], bool],
    latency: LatencyPrediction = NO_PREDICTION,
    now: float = 0.0,
) -> dict[str, Any]:
    usable, routes = usable_transports(settings), settings.core.routes
    route = explain_route(announcement, routes, usable.names, latency, usable.fallbacks)
    text = settings.plugins.filter_text(
        announcement.text or "", announcement.language or settings.speech.language
    )
    first = next(iter(route["transports"]), None)
    key = KeyScheme(settings).key(announcement, text, first) if first else None
    if settings.core.cache.enabled and key is not None and is_cached(key):
        route = explain_route(announcement, routes, usable.names, latency, usable.fallbacks, cached=True)
    return {
        "target": announcement.target,
        "urgency": str(announcement.urgency),
        "characters": len(announcement.text or ""),
        "warnings": list(announcement.warnings),
        **route,
        "speakers": [
            explain_speaker(name, announcement, *speakers[name], now)
            for name in speakers_by_target(settings)[announcement.target]
        ],
    }


_PREEMPTION = {
    Preemption.NOW: "interrupts the current announcement at once",
    Preemption.AT_PAUSE: "interrupts the current announcement at its next pause, at the latest after 2 s",
    Preemption.COALESCE: "joins the current announcement: the same alarm",
    Preemption.WAIT: "waits until the current announcement has ended",
}


def explain_speaker(
    speaker: str, announcement: Announcement, settings: SpeakerSettings, snapshot: SpeakerSnapshot, now: float
) -> dict[str, Any]:
    """Return what one speaker would do with an announcement at `now` (monotonic seconds)."""
    held = settings.hold_state(now).holds(announcement.urgency)
    ahead = sum(waiting.urgency.rank >= announcement.urgency.rank for waiting in snapshot.waiting)
    if held is not None:
        action, what = "hold", f"is held: {held}"
    elif snapshot.current is not None:
        preemption = preemption_for(announcement, snapshot.current, snapshot.heard_s)
        action, what = preemption.name.lower(), _PREEMPTION[preemption]
    elif ahead:
        action, what = "wait", f"waits for {ahead} other{'s' * (ahead != 1)}"
    else:
        action, what = "play", "is played at once"
    return {
        "speaker": speaker,
        "action": action,
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
    latency: LatencyPrediction = NO_PREDICTION,
    fallbacks: Collection[str] = (),
    *,
    cached: bool = False,
) -> dict[str, Any]:
    """Return the transports in the order they would be tried, and why."""
    request = routing_request(announcement, cached=cached)
    decision = decide(request, routes, available, latency, fallbacks)
    return {"transports": list(decision.order), "why": decision.why}
