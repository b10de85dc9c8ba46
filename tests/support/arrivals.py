"""A list of items that arrive over time, with deadlines for waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Arrivals(Generic[T]):
    """A list that can be waited on. `what` names the items in the message of a failure."""

    def __init__(self, what: str) -> None:
        self.items: list[T] = []
        self._what = what
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        self.items.append(item)
        self._news.set()

    async def wait(self, fits: Callable[[T], bool] = lambda _: True, *, within: float = 15.0) -> T:
        """Return the first item that fits, among those that arrived and those still to come."""
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
            raise AssertionError(f"{self._what}: no item fits; these arrived:\n{got}") from None

    async def wait_for_count(self, count: int, *, within: float = 15.0) -> list[T]:
        await self.wait(lambda _: len(self.items) >= count, within=within)
        return self.items
