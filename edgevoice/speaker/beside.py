"""Small tasks that run beside the main one of their owner, by name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Beside:
    """The tasks that are running."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def run(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Run something under a name that is free."""
        task = self._tasks[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self._forget(name, task))

    def stop(self, name: str) -> None:
        """Cancel it, if it runs."""
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()

    def stop_all(self) -> None:
        for name in list(self._tasks):
            self.stop(name)

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
