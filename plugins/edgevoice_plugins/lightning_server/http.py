"""Speech over plain HTTP, in one body or as server-sent events."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from edgevoice import TransportError
from edgevoice_plugins.lightning.protocol.reply import FINAL_EVENT, write_event, write_failed_event
from edgevoice_plugins.lightning.protocol.request import BadRequestError, known_model, read_request
from edgevoice_plugins.lightning_server.speech import check_format, encode, synthesize

if TYPE_CHECKING:
    from edgevoice_plugins.lightning.protocol.request import WireRequest
    from edgevoice_plugins.lightning_server.limits import ServerLimits
    from edgevoice_plugins.local_voice.pool import VoicePool


class HttpRoutes:
    """The handlers of the routes that speak over HTTP."""

    def __init__(self, voice: VoicePool, limits: ServerLimits) -> None:
        self._voice = voice
        self._limits = limits

    async def whole(self, http: web.Request) -> web.StreamResponse:
        """Answer with all of the speech in one body."""
        request = await self._read(http)
        check_format(request.output_format)
        async with aclosing(synthesize(self._voice, request, request.text)) as speech:
            pcm = b"".join([part async for part in speech if isinstance(part, bytes)])
        body = await asyncio.to_thread(encode, pcm, request.output_format, request.sample_rate)
        # The vendor sends audio/wav whatever the format is.
        return web.Response(body=body, headers={"Content-Type": "audio/wav", **_id_headers(request)})

    async def events(self, http: web.Request) -> web.StreamResponse:
        """Answer with the speech in server-sent events, as it is made."""
        request = await self._read(http)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", **_id_headers(request)}
        )
        try:
            await self._stream(request, http, response)
        except (ConnectionError, TimeoutError):
            # The client is gone, or accepts no data.
            if http.transport is not None:
                http.transport.abort()
        return response

    async def _stream(self, request: WireRequest, http: web.Request, response: web.StreamResponse) -> None:
        try:
            async with aclosing(synthesize(self._voice, request, request.text)) as speech:
                async for part in speech:
                    if not response.prepared:
                        await response.prepare(http)
                    if isinstance(part, bytes):
                        async with asyncio.timeout(self._limits.send_timeout_s):
                            await response.write(write_event(part))
        except TransportError as error:
            if not response.prepared:
                raise
            await response.write(write_failed_event(str(error)))
        else:
            await response.write(FINAL_EVENT)

    async def _read(self, http: web.Request) -> WireRequest:
        model = http.match_info.get("model")
        if model is not None:
            model = known_model(model)
        message = decode_json(await http.read())
        if isinstance(message, dict):
            message.setdefault("model", model)
        request = read_request(message, max_chars=self._limits.max_chars)
        if not request.text.strip():
            raise BadRequestError("text is required and must not be blank")
        if not request.voice_id:
            raise BadRequestError("voice_id is required")
        return request


def decode_json(body: bytes | str) -> Any:
    """Decode the JSON of a request.

    Raises:
        BadRequestError: it is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequestError(f"the request is not JSON: {error}") from error


def _id_headers(request: WireRequest) -> dict[str, str]:
    return {
        "X-Session-Id": str(uuid.uuid4()),
        "X-Request-Id": str(uuid.uuid4()),
        "X-External-Session-Id": request.session_id or "",
        "X-External-Request-Id": request.request_id or "",
    }
