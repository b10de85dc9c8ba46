"""What the Lightning transports have in common: connections opened in the background, once all else runs."""

from __future__ import annotations

import asyncio
import importlib
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

from edgevoice_plugins.lightning.options import LightningTransport

if TYPE_CHECKING:
    from types import TracebackType

    from edgevoice import Context
    from edgevoice_plugins.lightning.options import LightningOptions
    from edgevoice_plugins.lightning.spares import Spare, Spares

HEAVY = "aiohttp"
SETTLED = 1.0
"""Seconds that the other parts have to begin, before a library is imported that takes a tenth of one."""

S = TypeVar("S", bound="Spare")


class OpensAhead(LightningTransport, Generic[S]):
    """A transport whose connections are open before they are needed."""

    work: ClassVar[str]
    """The module that does the work; it brings what is heavy, so it is imported before the first request."""

    def __init__(self, context: Context, options: LightningOptions) -> None:
        super().__init__(context, options)
        self._spares: Spares[S] | None = None

    @abstractmethod
    def make_spares(self) -> Spares[S]:
        """The connections; this may import what is heavy."""

    @property
    def spares(self) -> Spares[S]:
        if self._spares is None:
            self._spares = self.make_spares()
        return self._spares

    @property
    def is_warm(self) -> bool:
        return self._spares is not None and self._spares.is_warm

    async def __aenter__(self) -> Self:
        self._opening = asyncio.create_task(self._open_ahead(), name="opens connections ahead")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opening.cancel()
        await asyncio.wait({self._opening})
        if self._spares is not None:
            await self._spares.close()

    async def _open_ahead(self) -> None:
        await self.context.ready.wait()
        if HEAVY not in sys.modules:
            await asyncio.sleep(SETTLED)
        await asyncio.to_thread(importlib.import_module, self.work)
        self.spares.open_ahead()
