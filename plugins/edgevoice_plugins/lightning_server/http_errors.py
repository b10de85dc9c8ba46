"""HTTP errors as the JSON that the vendor's clients expect, and which requests are served at all."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from edgevoice import TransportError
from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE, BadRequestError, RetiredModelError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from aiohttp.typedefs import Middleware

    Route = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NAMES = {
    400: "InvalidRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    500: "InternalServerError",
}


def error_response(status: int, message: str) -> web.Response:
    """Return an answer with an error status."""
    name = _NAMES.get(status) or HTTPStatus(status).phrase.title().replace(" ", "")
    return _json(status, {"error": name, "message": message})


def retired_response(name: str, successor: str) -> web.Response:
    """Return the answer for a retired model, or for a route of one."""
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
async def errors_as_json(request: web.Request, handler: Route) -> web.StreamResponse:
    """Turn the errors of a route into answers with a JSON body."""
    try:
        return await handler(request)
    except RetiredModelError as error:
        return retired_response(error.model, error.successor)
    except BadRequestError as error:
        return error_response(400, str(error))
    except TransportError as error:
        return error_response(500, str(error))
    except web.HTTPException as error:
        return error_response(error.status, error.text or error.reason)


def authorize(api_key: str | None, allowed_hosts: Collection[str]) -> Middleware:
    """Return a middleware that refuses web pages of other sites, and requests without the key if there is one.

    A page of another site sends its Origin. With DNS rebinding (its own name, pointed at this address) the
    Origin equals the Host, so the Host must be a name that a stranger's DNS cannot give: an IP address, a
    name of the loopback, or one of `allowed_hosts`.
    """
    hosts = frozenset(map(str.lower, allowed_hosts))

    @web.middleware
    async def check(request: web.Request, handler: Route) -> web.StreamResponse:
        host = request.headers.get("Host")
        if host is not None and not _is_allowed(host, hosts):
            return error_response(403, f"requests to {host[:100]} are not served; allow it with --allow-host")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
            return error_response(403, f"requests from pages of {origin[:100]} are not served")
        if api_key is not None and not _has_key(request, api_key):
            return error_response(
                401, "the API key is missing or wrong: send it as Authorization: Bearer KEY"
            )
        return await handler(request)

    return check


def _is_allowed(host: str, allowed: frozenset[str]) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if name in allowed or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _has_key(request: web.Request, api_key: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = request.query.get("token", "")
    return hmac.compare_digest(given.strip().encode(errors="replace"), api_key.encode())


def _json(status: int, body: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
