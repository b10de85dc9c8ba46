"""Things that arrive in their own time, kept in order and waited for with a deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Arrivals(Generic[T]):
    """A list that can be waited on; `what` says in a failure what was waited for."""

    def __init__(self, what: str) -> None:
        self.items: list[T] = []
        self._what = what
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        self.items.append(item)
        self._news.set()

    async def wait(self, fits: Callable[[T], bool] = lambda _: True, *, within: float = 15.0) -> T:
        """The first one that fits, be it there already or still to come."""
        seen = 0
        try:
            async with asyncio.timeout(within):
                while True:
                    for item in self.items[seen:]:
                        if fits(item):
                            return item
                    seen = len(self.items)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            got = "\n".join(f"  {str(item)[:300]}" for item in self.items)
            raise AssertionError(f"{self._what}: none that fits; there are\n{got}") from None

    async def wait_for_count(self, count: int, *, within: float = 15.0) -> list[T]:
        await self.wait(lambda _: len(self.items) >= count, within=within)
        return self.items
