"""Makes the parts of the daemon from the settings, and enters each; a part that cannot be is a fault."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from edgevoice.config.options import DEFAULT_ROUTES
from edgevoice.errors import ConfigError, ConfigIssue, OutputError
from edgevoice.plugin import Context, Observer, Output, Role, Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AsyncExitStack
    from pathlib import Path

    import aiohttp

    from edgevoice.config import Settings
    from edgevoice.config.options import Route
    from edgevoice.faults import Faults
    from edgevoice.outcome import Event
    from edgevoice.plugin import Plugin, Progress, Transport

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
"""Seconds a transport may take to be entered, or an output to be tried."""

P = TypeVar("P", bound="Plugin")
S = TypeVar("S", Source, Observer)


class ComponentStack:
    """The parts that were entered, left in reverse with the stack; knows which of them are stuck."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._parts: dict[str, Plugin] = {}

    async def start(self, name: str, part: P) -> P:
        await self._stack.enter_async_context(part)
        self._parts[name] = part
        return part

    def stalled(self) -> list[str]:
        """A sentence for each part that makes no progress and cannot help itself."""
        return [f"{name}: {why}" for name, part in self._parts.items() if (why := part.stall_reason())]


def make_context(
    settings: Settings,
    folder: Path,
    stack: AsyncExitStack,
    entered: ComponentStack,
    faults: Faults,
    delivered: Callable[[str, Event], None],
) -> Context:
    """Return what every plugin is given; `folder` is the state folder."""
    core = settings.core
    return Context(
        node=core.node,
        state_dir=folder,
        speakers=tuple(core.speakers),
        targets=frozenset(speakers_by_target(settings)),
        groups={name: speaker.groups for name, speaker in core.speakers.items()},
        speech=settings.speech,
        http_session=_shared_session(stack),
        fault=faults.set,
        stalled=entered.stalled,
        ready=asyncio.Event(),
        delivered=delivered,
    )


async def start_transports(
    settings: Settings, context: Context, entered: ComponentStack
) -> dict[str, Transport]:
    """Start the transports that can be used here.

    Raises:
        ConfigError: There is none.
    """
    reasons = _unavailable_transports(settings)
    transports = {}
    for name, kind in settings.plugins.transports.items():
        make = partial(kind, context, settings.transport_options(name))
        if name in reasons:
            logger.info("transport %s is not used: %s", name, reasons[name])
        elif part := await _guarded(context, entered, f"transport {name}", make):
            transports[name] = part
    _check_voices(settings, reasons)
    return transports


def _check_voices(settings: Settings, reasons: Mapping[str, str]) -> None:
    """Say in one line that only fallback voices can speak.

    Raises:
        ConfigError: No transport can be used.
    """
    usable = available_transports(settings)
    if not usable:
        why = "; ".join(dict.fromkeys(f"{_shown(settings, name)}: {why}" for name, why in reasons.items()))
        raise ConfigError([ConfigIssue("", f"no voice can speak: {why or 'no transport is installed'}")])
    if all(name in fallback_transports(settings) for name in usable):
        whys = {why for name, why in reasons.items() if name not in fallback_transports(settings)}
        logger.warning(
            "the %s voice speaks all announcements: %s",
            usable[0],
            "; ".join(sorted(whys)) or "no other transport is installed",
        )


def _shown(settings: Settings, name: str) -> str:
    """Return the name of a transport's section, which is what a user can change."""
    return settings.plugins.transports[name].section or name


def available_transports(settings: Settings) -> list[str]:
    """Return the names of the transports that can be used with this configuration on this machine."""
    reasons = _unavailable_transports(settings)
    return [name for name in settings.plugins.transports if name not in reasons]


def fallback_transports(settings: Settings) -> list[str]:
    """Return the names of the transports of last resort that can be used."""
    kinds = settings.plugins.transports
    return [name for name in available_transports(settings) if kinds[name].role is Role.FALLBACK]


def _unavailable_transports(settings: Settings) -> dict[str, str]:
    """Return why a transport cannot be used, for each that cannot."""
    reasons = {}
    for name, kind in settings.plugins.transports.items():
        if why := kind.missing_dependency() or kind.unavailable_reason(settings.transport_options(name)):
            reasons[name] = why
    return reasons


async def start_outputs(settings: Settings, context: Context, entered: ComponentStack) -> dict[str, Output]:
    """The output of each speaker."""
    outputs: dict[str, Output] = {}
    for name, speaker in settings.core.speakers.items():
        kind = settings.plugins.outputs[speaker.output]
        make = partial(kind, dataclasses.replace(context, speaker=name), settings.outputs[name])
        part = await _guarded(context, entered, f"speaker {name}", make)
        outputs[name] = part or UnavailableOutput(
            dataclasses.replace(context, speaker=name), why=f"its output {speaker.output!r} is broken"
        )
    return outputs


async def probe_outputs(context: Context, outputs: Mapping[str, Output]) -> None:
    """Try each output once; one that does not work now is a fault, and may work later."""
    made = {name: output for name, output in outputs.items() if not isinstance(output, UnavailableOutput)}
    await asyncio.gather(*(_try(context, name, output) for name, output in made.items()))


async def start_plugins(
    settings: Settings, context: Context, entered: ComponentStack, kinds: Mapping[str, type[S]]
) -> dict[str, S]:
    """Sources or observers, each with its section of the configuration."""
    parts = {}
    for name, kind in kinds.items():
        make = partial(kind, context, settings.section(name))
        if part := await _guarded(context, entered, name, make):
            parts[name] = part
    return parts


async def _guarded(context: Context, entered: ComponentStack, name: str, make: Callable[[], P]) -> P | None:
    """Make and enter a part; one that cannot be is a fault, and the others go on without it.

    Raises:
        ConfigError: what it found wrong is the user's to mend.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            return await entered.start(name, make())
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        logger.exception("%s cannot be used", name)
        context.fault(name, f"cannot be used: {type(error).__name__}: {error}")
        return None


class UnavailableOutput(Output):
    """Stands where a speaker's output could not be made."""

    def __init__(self, context: Context, *, why: str) -> None:
        super().__init__(context, None)
        self._why = why

    async def probe(self) -> None:
        raise OutputError(self._why)

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        del audio, rate, progress
        raise OutputError(self._why)


async def _try(context: Context, name: str, output: Output) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await output.probe()
    except (OutputError, TimeoutError) as error:
        context.fault(
            f"speaker {name}", str(error) or f"its output did not answer within {START_TIMEOUT_S:g} s"
        )
    except (Exception, SystemExit) as error:
        logger.exception("the output of %s broke", name)
        context.fault(f"speaker {name}", f"its output broke: {type(error).__name__}: {error}")


def _shared_session(stack: AsyncExitStack) -> Callable[[], aiohttp.ClientSession]:
    """Opens the one HTTP session when it is first needed; it is closed after all who use it."""
    opened: list[aiohttp.ClientSession] = []

    async def close() -> None:
        for session in opened:
            await session.close()

    stack.push_async_callback(close)

    def session() -> aiohttp.ClientSession:
        if not opened:
            from edgevoice.http_client import open_session  # noqa: PLC0415 - aiohttp is heavy

            opened.append(open_session())
        return opened[0]

    return session


def routes(settings: Settings) -> Sequence[Route]:
    """The routes that are configured, else those of the contract."""
    configured = settings.core.routes
    return configured if isinstance(configured, tuple) else DEFAULT_ROUTES


def speakers_by_target(settings: Settings) -> dict[str, list[str]]:
    """Which speakers answer to each target of this node."""
    answer: dict[str, list[str]] = {"all": list(settings.core.speakers)}
    for name, speaker in settings.core.speakers.items():
        answer.setdefault(name, []).append(name)
        for group in speaker.groups:
            answer.setdefault(group, []).append(name)
    return answer
