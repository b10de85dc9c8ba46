"""What is asked on a line, and how far its answer has come; here the plain kind, a whole text."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.line import LineLost
from edgevoice_plugins.lightning.protocol.reply import Chunk, Complete
from edgevoice_plugins.lightning.samples import FIRST, SILENCE

if TYPE_CHECKING:
    from types import TracebackType

    from edgevoice_plugins.lightning.line import Line
    from edgevoice_plugins.lightning.protocol.reply import Reply

FELL_SILENT = "the server fell silent before the speech was whole"


class Asked(ABC):
    """A request on a line; it can be sent again on another while nothing was `heard`."""

    reusable: ClassVar[bool] = False
    """Whether the line is free for another request once this one is over."""

    def __init__(self) -> None:
        self.heard = False
        self.over = False
        self._since = asyncio.get_running_loop().time()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    async def send(self, line: Line) -> None:
        """Send all of it; a line that is lost ends this quietly, for who waits for its replies learns of it."""

    def hears(self, reply: Reply | None) -> None:
        """Take note of a reply; None, a mere sign of life, does not prolong the patience."""
        if reply is not None:
            self._since = asyncio.get_running_loop().time()
        self.heard = self.heard or isinstance(reply, Chunk)

    @abstractmethod
    def patience(self) -> float | None:
        """Seconds to wait for the next reply or sign of life; None for as long as it takes."""

    def remaining(self, limit: float) -> float:
        """What is left of so many seconds without a reply."""
        return max(0.0, self._since + limit - asyncio.get_running_loop().time())

    @abstractmethod
    def fell_silent(self) -> None:
        """Nothing came within the patience.

        Raises:
            TransportError: and it should have.
        """


class OneShot(Asked):
    """A whole text in one message, whose `complete` is the end."""

    reusable = True

    def __init__(self, message: dict[str, Any]) -> None:
        super().__init__()
        self._message = message

    async def send(self, line: Line) -> None:
        try:
            await line.send(self._message)
        except LineLost:
            return

    def hears(self, reply: Reply | None) -> None:
        super().hears(reply)
        self.over = isinstance(reply, Complete)

    def patience(self) -> float | None:
        return self.remaining(SILENCE if self.heard else FIRST)

    def fell_silent(self) -> None:
        raise TransportError(FELL_SILENT)
