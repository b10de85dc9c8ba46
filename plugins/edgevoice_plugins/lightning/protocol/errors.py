"""Errors that a server reports, as an HTTP status or in a frame, and which of them concern the account."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from edgevoice import AccountRefused, TooManyRequests, TransportError
from edgevoice_plugins.lightning.options import MODELS
from edgevoice_plugins.lightning.protocol.reply import Problem, preview

#: Statuses that concern the account, the key or the model: no transport of the account can help.
_ACCOUNT = {
    401: "the API key is missing or wrong: check lightning.api_key_file",
    402: "the account has no credits left",
    403: "the account or key may not use this",
    410: f"the model or route is retired, {' and '.join(MODELS)} are served",
}
_TOO_MANY = 429
#: The vendor documents that a WebSocket answers too many requests with an error, but no code for it.
_SAYS_TOO_MANY = re.compile("too many requests|concurrency|rate limit", re.IGNORECASE)
_CODES = {
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "MODEL_DEPRECATED": 410,
    "TOO_MANY_REQUESTS": _TOO_MANY,
    "TOOMANYREQUESTS": _TOO_MANY,
    "RATE_LIMIT_EXCEEDED": _TOO_MANY,
    **{str(status): status for status in (*_ACCOUNT, _TOO_MANY)},
}


def status_error(status: int, body: bytes, retry_after: str | None = None) -> TransportError:
    """Return the error for a reply with `status` and `body`; it names what the server recommends instead.

    `retry_after` is the header of that name; only seconds are understood.
    """
    detail = _detail(body)
    if status in _ACCOUNT:
        return AccountRefused(f"refused: {status} {_ACCOUNT[status]}{detail}")
    if status == _TOO_MANY:
        seconds = float(retry_after) if retry_after and re.fullmatch(r"\d{1,6}", retry_after) else None
        return TooManyRequests(f"refused: {status}{detail}", seconds)
    return TransportError(f"refused: {status}{detail}")


def problem_error(problem: Problem) -> TransportError:
    """Return the error for a problem inside a stream, whose code may be a status or the name of one."""
    code = (problem.code or "").upper()
    status = _CODES.get(code) if code else _TOO_MANY if _SAYS_TOO_MANY.search(problem.message) else None
    shown = f" {problem.code[:40]}" if problem.code else ""
    if status in _ACCOUNT:
        return AccountRefused(f"refused:{shown} {_ACCOUNT[status]} ({problem.message})")
    kind = TooManyRequests if status == _TOO_MANY else TransportError
    return kind(f"refused:{shown} {problem.message}")


def _detail(body: bytes) -> str:
    try:
        reply: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        shown = preview(body)
        return f" ({shown})" if shown else ""
    error = reply.get("error")
    message = reply.get("message") or (error.get("message") if isinstance(error, dict) else error)
    successor = reply.get("recommended_endpoint") or reply.get("recommended_model")
    parts = [str(message)[:160]] if message else []
    if successor:
        parts.append(f"use {str(successor)[:80]} instead")
    return f" ({'; '.join(parts)})" if parts else ""
