"""Tells systemd when the daemon is ready, what it is doing, and that it still makes progress."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from edgevoice import logs
from edgevoice.hookspecs import hookimpl
from edgevoice.plugin import Context, NoOptions, Observer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.hookspecs import Registry
    from edgevoice.outcome import SpeakerState

try:
    from systemd import daemon
except ImportError:
    daemon = None

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
"""Seconds between two looks for parts that are stuck, where there is no watchdog that says how often."""
STATUS_LENGTH = 400


class Systemd(Observer):
    """Speaks the protocol of sd_notify(3); does nothing where systemd did not start this process."""

    def __init__(self, context: Context, options: NoOptions) -> None:
        super().__init__(context, options)
        self._context = context
        self._states: dict[str, SpeakerState] = {}
        self._changed = asyncio.Event()

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._states[speaker] = state
        self._changed.set()

    async def run(self) -> None:
        """Tell systemd, until cancelled; a cancellation is the daemon's way to stop."""
        if not os.environ.get("NOTIFY_SOCKET"):
            log.debug("not started by systemd (no NOTIFY_SOCKET): nothing to tell it")
            return
        if daemon is None:
            log.warning('systemd waits for word that needs systemd-python: pip install "edgevoice[systemd]"')
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell_status())
                tasks.create_task(self._tell_alive())
        finally:
            tell("STOPPING=1", "STATUS=stopping")

    async def _tell_status(self) -> None:
        told = ""
        while True:
            sentence = status(self._context.ready.is_set(), self._states, self._context.stalled())
            if sentence != told:
                tell(f"STATUS={sentence}")
                told = sentence
            await self._changed.wait()
            self._changed.clear()

    async def _tell_alive(self) -> None:
        await self._context.ready.wait()
        tell("READY=1")
        every = watchdog_interval()
        while True:
            self._changed.set()
            if every is not None:
                self._give_sign_of_life()
            await asyncio.sleep(every or LOOK_EVERY)

    def _give_sign_of_life(self) -> None:
        if stuck := self._context.stalled():
            log.error("systemd gets no sign of life, and will restart this: %s", "; ".join(stuck))
        else:
            tell("WATCHDOG=1")


def tell(*lines: str) -> None:
    """Send one message to systemd."""
    try:
        daemon.notify("\n".join(lines))
    except OSError as error:
        log.warning("systemd could not be told %s: %s", lines[0], error)


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two signs of life, a third of what the unit allows; None where it asks for none.

    The variables are those of sd_watchdog_enabled(3).
    """
    micros = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", "") or str(os.getpid())
    if not micros.isdecimal() or int(micros) == 0 or meant_for != str(os.getpid()):
        return None
    return int(micros) / 1e6 / 3


def status(ready: bool, states: Mapping[str, SpeakerState], stuck: list[str]) -> str:
    """What the daemon is doing, in one line for people."""
    faults = [f"fault: {speaker}: {state.fault}" for speaker, state in states.items() if state.fault]
    parts = [*(f"stuck: {part}" for part in stuck), *faults, _doing(states) if ready else "starting"]
    line = " ".join(logs.redact("; ".join(parts)).split())
    return line if len(line) <= STATUS_LENGTH else f"{line[: STATUS_LENGTH - 1]}…"


def _doing(states: Mapping[str, SpeakerState]) -> str:
    speaking = [speaker for speaker, state in states.items() if state.now]
    waiting = sum(state.queue for state in states.values())
    held = sum(state.held for state in states.values())
    parts = [f"speaking in {', '.join(speaking)}" if speaking else "idle"]
    parts += [f"{count} {what}" for count, what in ((waiting, "waiting"), (held, "held")) if count]
    return ", ".join(parts)


@hookimpl
def edgevoice_register(register: Registry) -> None:
    register.observer("systemd", Systemd)
