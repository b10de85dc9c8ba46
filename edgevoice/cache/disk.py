"""Work on a disk that may hang, each piece in a thread of its own for which nobody has to wait."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


def run_in_daemon_thread(work: Callable[[], Result]) -> Future[Result]:
    """Do it beside; done when the disk has answered, whoever still waits for that.

    No executor: its threads are few, and the process does not end before they do.
    """
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=run, name="cache", daemon=True).start()
    return future
