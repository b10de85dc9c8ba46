"""A Lightning-compatible server that speaks with the local voice: its routes, and its life."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from edgevoice_plugins.lightning.protocol.request import BadRequestError, known_model
from edgevoice_plugins.lightning_server import voices
from edgevoice_plugins.lightning_server.contexts import LONGEST
from edgevoice_plugins.lightning_server.http import LONGEST_BODY, Speech
from edgevoice_plugins.lightning_server.refusals import as_json, guard, refused
from edgevoice_plugins.lightning_server.websocket import IDLE, SpeechSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiohttp.typedefs import Middleware

    from edgevoice_plugins.local_voice.pool import VoicePool

PREFIXES = ("/waves/v1", "/api/v1")
"""The vendor's current routes, and the older ones that some clients still use."""


@asynccontextmanager
async def serve(
    voice: VoicePool,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    api_key: str | None = None,
    max_chars: int | None = None,
    middlewares: Sequence[Middleware] = (),
) -> AsyncIterator[str]:
    """Serve until the block is left; gives the server's URL. Port 0 is any free one.

    With `api_key` nobody is served without it. `max_chars` is the most that one request may have
    (8000 if None). `middlewares` see each request before it is served.

    Raises:
        OSError: the address cannot be listened on.
    """
    application = _Server(voice, max_chars or LONGEST).application(api_key, middlewares)
    # A client that hangs up cancels its request, and so its speech.
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        listening = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{listening}"
    finally:
        await runner.cleanup()


class _Server:
    def __init__(self, voice: VoicePool, max_chars: int) -> None:
        self._voice = voice
        self._max_chars = max_chars
        self._speech = Speech(voice, max_chars)
        self._sockets: set[SpeechSocket] = set()

    def application(self, api_key: str | None, middlewares: Sequence[Middleware]) -> web.Application:
        before = [as_json, guard(api_key), *middlewares]
        application = web.Application(middlewares=before, client_max_size=LONGEST_BODY)
        for prefix in PREFIXES:
            application.add_routes(self._routes(prefix))
        application.on_shutdown.append(self._close_sockets)
        return application

    def _routes(self, prefix: str) -> list[web.RouteDef]:
        model = prefix + "/{model:lightning[^/]*}"
        return [
            web.post(f"{prefix}/tts", self._speech.whole),
            web.post(f"{prefix}/tts/live", self._speech.events),
            web.get(f"{prefix}/tts/live", self._socket),
            web.post(f"{model}/get_speech", self._speech.whole),
            web.post(f"{model}/stream", self._speech.events),
            web.get(f"{model}/get_speech/stream", self._socket),
            web.get(f"{model}/get_voices", self._voices),
            web.get(f"{prefix}/voice/get-all-models", self._catalogue),
            web.get(f"{prefix}/pronunciation-dicts", self._dictionaries),
            web.route("*", f"{model}/{{rest:.*}}", self._unknown),
        ]

    async def _socket(self, http: web.Request) -> web.StreamResponse:
        model = http.match_info.get("model")
        if model is not None:
            known_model(model)
        if not web.WebSocketResponse().can_prepare(http):
            return refused(426, "this route speaks WebSocket, or server-sent events when asked with POST")
        socket = SpeechSocket(self._voice, max_chars=self._max_chars, idle=_idle(http), model=model)
        self._sockets.add(socket)
        try:
            return await socket.run(http)
        finally:
            self._sockets.discard(socket)

    async def _close_sockets(self, _: web.Application) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    async def _voices(self, http: web.Request) -> web.Response:
        return web.json_response(voices.list_voices(known_model(http.match_info["model"])))

    async def _catalogue(self, _: web.Request) -> web.Response:
        return web.json_response(voices.catalogue())

    async def _dictionaries(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def _unknown(self, http: web.Request) -> web.Response:
        known_model(http.match_info["model"])  # one that is retired says so on every route
        raise web.HTTPNotFound(text=f"there is no {http.path}")


def _idle(http: web.Request) -> int:
    given = http.query.get("timeout", str(IDLE))
    if not given.isascii() or not given.isdigit() or int(given[:10]) == 0:
        raise BadRequestError(f"timeout {given[:20]!r} is not a positive number of seconds")
    return int(given[:10])
