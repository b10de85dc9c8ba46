"""A Lightning-compatible server that speaks with the local voice: its routes and its life."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from edgevoice_plugins.lightning.protocol.request import BadRequestError, known_model
from edgevoice_plugins.lightning_server.http import HttpRoutes
from edgevoice_plugins.lightning_server.http_errors import authorize, error_response, errors_as_json
from edgevoice_plugins.lightning_server.limits import MAX_MESSAGE_BYTES, ServerLimits
from edgevoice_plugins.lightning_server.websocket import IDLE_TIMEOUT_S, SpeechSocket
from edgevoice_plugins.local_voice import voices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from aiohttp.typedefs import Middleware

    from edgevoice_plugins.local_voice.pool import VoicePool

#: The vendor's current routes, and the older ones that some clients still use.
PREFIXES = ("/waves/v1", "/api/v1")


@asynccontextmanager
async def serve(  # noqa: PLR0913 - all but three have defaults, by keyword
    voice: VoicePool,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    api_key: str | None = None,
    allowed_hosts: Collection[str] = (),
    limits: ServerLimits | None = None,
    middlewares: Sequence[Middleware] = (),
) -> AsyncIterator[str]:
    """Serve until the block is left; yield the server's URL. Port 0 is any free port.

    With `api_key` each request needs it. A request is accepted under an IP address, a name of the
    loopback, `host`, and the `allowed_hosts`. `middlewares` see each request before it is served.

    Raises:
        OSError: the server cannot listen on the address.
    """
    checks = authorize(api_key, {host, *allowed_hosts})
    application = _Server(voice, limits or ServerLimits()).application([errors_as_json, checks, *middlewares])
    # A client that hangs up cancels its request, and so its speech.
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        actual_port = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{actual_port}"
    finally:
        await runner.cleanup()


class _Server:
    def __init__(self, voice: VoicePool, limits: ServerLimits) -> None:
        self._voice = voice
        self._limits = limits
        self._http = HttpRoutes(voice, limits)
        self._sockets: set[SpeechSocket] = set()

    def application(self, middlewares: Sequence[Middleware]) -> web.Application:
        application = web.Application(middlewares=middlewares, client_max_size=MAX_MESSAGE_BYTES)
        for prefix in PREFIXES:
            application.add_routes(self._routes(prefix))
        application.on_shutdown.append(self._close_sockets)
        return application

    def _routes(self, prefix: str) -> list[web.RouteDef]:
        model = prefix + "/{model:lightning[^/]*}"
        return [
            web.post(f"{prefix}/tts", self._http.whole),
            web.post(f"{prefix}/tts/live", self._http.events),
            web.get(f"{prefix}/tts/live", self._socket),
            web.post(f"{model}/get_speech", self._http.whole),
            web.post(f"{model}/stream", self._http.events),
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
            return error_response(426, "this route speaks WebSocket, or server-sent events with POST")
        idle_timeout_s = _idle_timeout_s(http)
        socket = SpeechSocket(self._voice, self._limits, idle_timeout_s=idle_timeout_s, model=model)
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
        known_model(http.match_info["model"])  # a retired model is reported on every route
        raise web.HTTPNotFound(text=f"there is no {http.path}")


def _idle_timeout_s(http: web.Request) -> int:
    given = http.query.get("timeout", str(IDLE_TIMEOUT_S))
    if not given.isascii() or not given.isdigit() or int(given[:10]) == 0:
        raise BadRequestError(f"timeout {given[:20]!r} is not a positive number of seconds")
    return int(given[:10])
