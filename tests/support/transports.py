"""The Lightning transports, opened against a test server, and what they say."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgevoice.announcement import Urgency
from edgevoice.http_client import open_session
from edgevoice.plugin import SpeechRequest, Transport
from edgevoice.testing import context
from edgevoice_plugins.lightning.http import HttpTransport
from edgevoice_plugins.lightning.http_stream import HttpStreamTransport
from edgevoice_plugins.lightning.options import API_KEY_VARIABLE, LightningOptions
from edgevoice_plugins.lightning.transport import Limits
from edgevoice_plugins.lightning.websocket import WebSocketTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from edgevoice_plugins.lightning.transport import WarmTransport

KINDS: dict[str, type[WarmTransport[Any]]] = {
    "http": HttpTransport,
    "http_stream": HttpStreamTransport,
    "websocket": WebSocketTransport,
}
STREAMS = ("http_stream", "websocket")


@asynccontextmanager
async def opened(name: str, url: str, **keys: Any) -> AsyncIterator[WarmTransport[Any]]:
    """A transport with a session of its own."""
    async with opened_together(url, name, **keys) as transports:
        yield transports[name]


@asynccontextmanager
async def opened_together(
    url: str,
    *names: str,
    key: str | None = None,
    ready: bool = True,
    tls: ssl.SSLContext | None = None,
    limits: dict[str, Any] | None = None,
    **lightning: Any,
) -> AsyncIterator[dict[str, WarmTransport[Any]]]:
    """Transports by name, which share a session. Without `ready` the caller sets `context.ready`."""
    async with open_session(tls) as session, AsyncExitStack() as stack:
        given = context(Path("/nonexistent"), http_session=lambda: session)
        options = LightningOptions(base_url=url, **lightning)
        if ready:
            given.ready.set()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(
            "edgevoice_plugins.lightning.ws_connection.open_http_session", lambda: open_session(tls)
        )
        if key is not None:
            patch.setenv(API_KEY_VARIABLE, key)
        transports = {name: KINDS[name](given, options, Limits(**limits or {})) for name in names}
        yield {name: await stack.enter_async_context(each) for name, each in transports.items()}


async def warm(transport: WarmTransport[Any]) -> None:
    """Wait until a connection is open and idle."""
    async with asyncio.timeout(10):
        while not transport.is_warm:
            await asyncio.sleep(0.01)


def request(text: str | None = None, **keys: Any) -> SpeechRequest:
    return SpeechRequest(id="a1", text=text, **{"sample_rate": 24000, "urgency": Urgency.NORMAL} | keys)


async def said(transport: Transport, text: str, **keys: Any) -> bytes:
    """All that a transport says to a text."""
    return b"".join([pcm async for pcm in transport.synthesize(request(text, **keys))])


async def said_until(transport: Transport, asked: SpeechRequest) -> tuple[bytes, Exception | None]:
    """The audio of a transport, and the error that ended it."""
    heard = bytearray()
    try:
        async for pcm in transport.synthesize(asked):
            assert pcm, "an empty piece"
            assert len(pcm) % 2 == 0, "half a sample"
            heard += pcm
    except Exception as error:  # noqa: BLE001 - the tests look at it
        return bytes(heard), error
    return bytes(heard), None


async def cut_short(transport: Transport, text: str, pieces: int) -> bytes:
    """The audio of a transport that was stopped after `pieces` pieces."""
    heard = bytearray()
    async with aclosing(transport.synthesize(request(text))) as speech:  # type: ignore[type-var]
        async for pcm in speech:
            heard += pcm
            pieces -= 1
            if pieces <= 0:
                break
    return bytes(heard)
