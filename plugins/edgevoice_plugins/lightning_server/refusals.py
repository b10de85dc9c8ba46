"""Refusals over HTTP, as the JSON that the vendor's clients expect; also who may ask at all."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE, BadRequestError, RetiredModelError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    Route = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NAMES = {
    400: "InvalidRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    500: "InternalServerError",
}


def refused(status: int, message: str) -> web.Response:
    """An answer other than 200."""
    name = _NAMES.get(status) or HTTPStatus(status).phrase.title().replace(" ", "")
    return _json(status, {"error": name, "message": message})


def retired(name: str, successor: str) -> web.Response:
    """The answer for a model, or the routes of a model, that is served no more."""
    return _json(
        410,
        {
            "status": "error",
            "error_code": "MODEL_DEPRECATED",
            "message": f"model {name!r} is retired; use {successor!r} on {PATH_WHOLE}",
            "recommended_endpoint": PATH_WHOLE,
            "recommended_model": successor,
        },
    )


@web.middleware
async def as_json(request: web.Request, handler: Route) -> web.StreamResponse:
    """Turn whatever a route raises into an answer with a JSON body."""
    try:
        return await handler(request)
    except RetiredModelError as error:
        return retired(error.model, error.successor)
    except BadRequestError as error:
        return refused(400, str(error))
    except TransportError as error:
        return refused(500, str(error))
    except web.HTTPException as error:
        return refused(error.status, error.text or error.reason)


def guard(api_key: str | None) -> Middleware:
    """Let in who has the key, where there is one, and no page of another site."""

    @web.middleware
    async def guarded(request: web.Request, handler: Route) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
            return refused(403, f"requests from pages of {origin[:100]} are not served")
        if api_key is not None and not _has_key(request, api_key):
            return refused(401, "the API key is missing or wrong: send it as Authorization: Bearer KEY")
        return await handler(request)

    return guarded


def _has_key(request: web.Request, api_key: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = request.query.get("token", "")
    return hmac.compare_digest(given.strip().encode(errors="replace"), api_key.encode())


def _json(status: int, body: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
