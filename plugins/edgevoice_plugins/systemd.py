"""Notifies systemd: the daemon is ready, its status, and a watchdog ping while every component progresses."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from edgevoice import Context, NoOptions, Observer, hookimpl, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice import Registry, SpeakerState

try:
    from systemd import daemon
except ImportError:
    daemon = None

logger = logging.getLogger(__name__)

#: Interval of the check for stalled components if the unit has no watchdog that sets it.
CHECK_S = 10.0
MAX_STATUS_CHARS = 400


class Systemd(Observer):
    """Speaks the protocol of sd_notify(3). Does nothing if systemd did not start this process."""

    def __init__(self, context: Context, options: NoOptions, check_s: float = CHECK_S) -> None:
        super().__init__(context, options)
        self._check_s = check_s
        self._states: dict[str, SpeakerState] = {}
        self._changed = asyncio.Event()

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._states[speaker] = state
        self._changed.set()

    async def run(self) -> None:
        """Notify systemd until cancelled, which is how the daemon stops it."""
        if not os.environ.get("NOTIFY_SOCKET"):
            logger.debug("not started by systemd: NOTIFY_SOCKET is not set")
            return
        if daemon is None:
            logger.warning(
                'systemd waits for READY, but systemd-python is missing: pip install "edgevoice[systemd]"'
            )
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._report_status())
                tasks.create_task(self._ping())
        finally:
            sd_notify("STOPPING=1", "STATUS=stopping")

    async def _report_status(self) -> None:
        reported = ""
        while True:
            text = status(self.context.ready.is_set(), self._states, self.context.stalled())
            if text != reported:
                sd_notify(f"STATUS={text}")
                reported = text
            await self._changed.wait()
            self._changed.clear()

    async def _ping(self) -> None:
        await self.context.ready.wait()
        sd_notify("READY=1")
        interval_s = watchdog_interval_s()
        while True:
            self._changed.set()
            if interval_s is not None:
                self._ping_once()
            await asyncio.sleep(interval_s or self._check_s)

    def _ping_once(self) -> None:
        if stalled := self.context.stalled():
            logger.error("no watchdog ping, so systemd will restart the daemon: %s", "; ".join(stalled))
        else:
            sd_notify("WATCHDOG=1")


def sd_notify(*lines: str) -> None:
    """Send one message to systemd."""
    try:
        daemon.notify("\n".join(lines))
    except OSError as error:
        logger.warning("cannot notify systemd of %s: %s", lines[0], error)


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return a third of the unit's WatchdogSec, None if it has none.

    The variables are those of sd_watchdog_enabled(3).
    """
    timeout_us = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "") or str(os.getpid())
    if not timeout_us.isdecimal() or int(timeout_us) == 0 or pid != str(os.getpid()):
        return None
    return int(timeout_us) / 1e6 / 3


def status(ready: bool, states: Mapping[str, SpeakerState], stalled: list[str]) -> str:
    """Return the daemon's status as one line for people."""
    faults = [f"fault: {speaker}: {state.fault}" for speaker, state in states.items() if state.fault]
    parts = [*(f"stuck: {part}" for part in stalled), *faults, _activity(states) if ready else "starting"]
    line = " ".join(redact("; ".join(parts)).split())
    return line if len(line) <= MAX_STATUS_CHARS else f"{line[: MAX_STATUS_CHARS - 1]}…"


def _activity(states: Mapping[str, SpeakerState]) -> str:
    speaking = [speaker for speaker, state in states.items() if state.now]
    waiting = sum(state.queue for state in states.values())
    held = sum(state.held for state in states.values())
    parts = [f"speaking in {', '.join(speaking)}" if speaking else "idle"]
    parts += [f"{count} {kind}" for count, kind in ((waiting, "waiting"), (held, "held")) if count]
    return ", ".join(parts)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.observer("systemd", Systemd)
