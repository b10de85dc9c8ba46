"""Blocking disk work in daemon threads: a disk that hangs must hold up neither the event loop nor the exit."""

from __future__ import annotations

import asyncio
import errno
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
Result = TypeVar("Result")


def start_in_thread(work: Callable[[], Result]) -> Future[Result]:
    """Start blocking work in a daemon thread of its own; OSError if there can be no further thread.

    An executor would not do: a call that hangs would hold one of its few threads, and keep the process from exiting.
    """
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="disk", daemon=True).start()
    except RuntimeError as error:  # too many threads
        future.set_exception(OSError(errno.EAGAIN, str(error)))
    return future


async def in_thread(work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Return the result of blocking work; it goes on if the caller is cancelled."""
    return await asyncio.wrap_future(start_in_thread(partial(work, *args, **kwargs)))
