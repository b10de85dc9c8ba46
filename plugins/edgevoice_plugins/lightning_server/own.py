"""The Lightning server of this machine's own, which the transports use where there is no API key."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from edgevoice.hookspecs import hookimpl
from edgevoice.plugin import Server
from edgevoice_plugins.local_voice import pool

if TYPE_CHECKING:
    from types import TracebackType

    from edgevoice.hookspecs import Registry


class OwnServer(Server):
    """The local voice behind all three transports, on a free port of the loopback."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._url = ""

    @classmethod
    def missing_dependency(cls) -> str | None:
        return pool.missing()

    @property
    def url(self) -> str:
        return self._url

    async def __aenter__(self) -> Self:
        from edgevoice_plugins.lightning_server.app import serve  # noqa: PLC0415 - aiohttp.web is heavy

        async with AsyncExitStack() as stack:
            voice = await stack.enter_async_context(pool.VoicePool())
            self._url = await stack.enter_async_context(serve(voice))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.server("lightning_server", OwnServer)
