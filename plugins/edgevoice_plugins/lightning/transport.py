"""The base of the Lightning transports: a connection that is opened once the daemon is ready."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, Self, TypeVar

from edgevoice import Transport
from edgevoice_plugins.lightning.limits import Limits
from edgevoice_plugins.lightning.options import (
    LightningOptions,
    api_key,
    endpoint,
    option_issues,
    option_warnings,
)

if TYPE_CHECKING:
    from types import TracebackType

    from edgevoice import Context, SpeechRequest
    from edgevoice_plugins.lightning.http_connection import HttpConnection

logger = logging.getLogger(__name__)


class WarmConnection(Protocol):
    """A connection, or a pool of them, that can be opened ahead of need."""

    @property
    def is_warm(self) -> bool:
        """Whether a connection is open that no request uses."""

    def open_ahead(self) -> None:
        """Begin to open a connection, and keep one open from now on."""

    async def close(self) -> None:
        """Open no more connections."""


C = TypeVar("C", bound=WarmConnection)


class WarmTransport(Transport, Generic[C]):
    """A transport of the Lightning account, whose connection is open before a request needs it."""

    options = LightningOptions
    section: ClassVar[str | None] = "lightning"
    account: ClassVar[str | None] = "lightning"
    #: The module that imports aiohttp. It is imported in a thread once the daemon is ready.
    heavy_module: ClassVar[str]

    def __init__(self, context: Context, options: LightningOptions, limits: Limits | None = None) -> None:
        super().__init__(context, options)
        self.lightning = options
        self.limits = limits or Limits()
        self.endpoint = endpoint(options, context)
        self._connection: C | None = None

    @classmethod
    def validate_options(cls, options: LightningOptions) -> list[tuple[str, str]]:
        return option_issues(options)

    @classmethod
    def option_warnings(cls, options: LightningOptions) -> list[tuple[str, str]]:
        return option_warnings(options)

    @classmethod
    def unavailable_reason(cls, options: LightningOptions) -> str | None:
        if options.base_url is None and api_key(options) is None:
            return "there is no API key: set lightning.api_key_file"
        return None

    @classmethod
    def voice_identity(cls, options: LightningOptions, request: SpeechRequest) -> str | None:
        voice = request.voice or options.voice
        parts = (options.root, options.model, voice, request.language, float(request.speed))
        return repr((*parts, options.pronunciation_dicts))

    @abstractmethod
    def make_connection(self) -> C:
        """Make the connection, without opening it; this may import aiohttp."""

    @property
    def connection(self) -> C:
        """The connection, made at its first use."""
        if self._connection is None:
            self._connection = self.make_connection()
        return self._connection

    @property
    def is_warm(self) -> bool:
        return self._connection is not None and self._connection.is_warm

    async def __aenter__(self) -> Self:
        self._opening = asyncio.create_task(self._open_ahead(), name="open Lightning connections")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opening.cancel()
        await asyncio.wait({self._opening})
        if self._connection is not None:
            await self._connection.close()

    async def _open_ahead(self) -> None:
        await self.context.ready.wait()
        if "aiohttp" not in sys.modules:
            await asyncio.sleep(self.limits.start_delay_s)
        try:
            await asyncio.to_thread(importlib.import_module, self.heavy_module)
            self.connection.open_ahead()
        except Exception:
            logger.exception("cannot open a connection ahead; each request will open its own")


class HttpBase(WarmTransport["HttpConnection"]):
    """A transport over HTTP; both of them share one connection."""

    heavy_module = "edgevoice_plugins.lightning.http_connection"

    def make_connection(self) -> HttpConnection:
        from edgevoice_plugins.lightning.http_connection import HttpConnection  # noqa: PLC0415 - imports aiohttp

        return HttpConnection.shared(self.endpoint, self.limits)
