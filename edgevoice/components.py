"""Start, probe and watch plugins. One that fails to start is reported as a fault; the others run on."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from edgevoice.config.options import DEFAULT_ROUTES
from edgevoice.errors import ConfigError, ConfigIssue, OutputError
from edgevoice.plugin import Context, Observer, Output, Role, Source, SystemClock

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

#: How long a plugin may take to be entered, and an output to be probed.
START_TIMEOUT_S = 10.0

P = TypeVar("P", bound="Plugin")
S = TypeVar("S", Source, Observer)


class ComponentStack:
    """The started plugins. They are closed in reverse order with the exit stack."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._plugins: dict[str, Plugin] = {}

    async def start(self, name: str, plugin: P) -> P:
        await self._stack.enter_async_context(plugin)
        self._plugins[name] = plugin
        return plugin

    def stalled(self) -> list[str]:
        """Return a sentence for each plugin that makes no progress and cannot recover."""
        return [f"{name}: {why}" for name, plugin in self._plugins.items() if (why := plugin.stall_reason())]


def make_context(
    settings: Settings,
    folder: Path,
    stack: AsyncExitStack,
    components: ComponentStack,
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
        speech=settings.speech,
        clock=SystemClock(ZoneInfo(core.timezone) if core.timezone else None),
        http_session=_shared_session(stack),
        fault=faults.set,
        stalled=components.stalled,
        ready=asyncio.Event(),
        delivered=delivered,
    )


async def start_transports(
    settings: Settings, context: Context, components: ComponentStack
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
            level = logging.INFO if kind.missing_dependency() else logging.DEBUG
            logger.log(level, "transport %s is not used: %s", name, reasons[name])
        elif plugin := await _start(context, components, f"transport {name}", make):
            transports[name] = plugin
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


def unconfigured_transports(settings: Settings) -> frozenset[str]:
    """Return the names of the transports that are installed, but lack configuration such as an API key."""
    kinds = settings.plugins.transports
    return frozenset(
        name for name in _unavailable_transports(settings) if kinds[name].missing_dependency() is None
    )


def _unavailable_transports(settings: Settings) -> dict[str, str]:
    """Return why a transport cannot be used, for each that cannot."""
    reasons = {}
    for name, kind in settings.plugins.transports.items():
        if why := kind.missing_dependency() or kind.unavailable_reason(settings.transport_options(name)):
            reasons[name] = why
    return reasons


async def start_outputs(
    settings: Settings, context: Context, components: ComponentStack
) -> dict[str, Output]:
    """Start the output of each speaker. One that cannot be used is replaced by `UnavailableOutput`."""
    outputs: dict[str, Output] = {}
    for name, speaker in settings.core.speakers.items():
        kind = settings.plugins.outputs[speaker.output]
        make = partial(kind, dataclasses.replace(context, speaker=name), settings.outputs[name])
        output = await _start(context, components, f"speaker {name}", make)
        outputs[name] = output or UnavailableOutput(
            dataclasses.replace(context, speaker=name), why=f"its output {speaker.output!r} is broken"
        )
    return outputs


async def probe_outputs(context: Context, outputs: Mapping[str, Output]) -> None:
    """Probe each output. One that does not work now is a fault; it may work later."""
    startable = {
        name: output for name, output in outputs.items() if not isinstance(output, UnavailableOutput)
    }
    await asyncio.gather(*(_try(context, name, output) for name, output in startable.items()))


async def start_plugins(
    settings: Settings, context: Context, components: ComponentStack, kinds: Mapping[str, type[S]]
) -> dict[str, S]:
    """Start sources or observers, each with its section of the configuration."""
    plugins = {}
    for name, kind in kinds.items():
        make = partial(kind, context, settings.section(name))
        if plugin := await _start(context, components, name, make):
            plugins[name] = plugin
    return plugins


async def _start(context: Context, components: ComponentStack, name: str, make: Callable[[], P]) -> P | None:
    """Construct and enter a plugin. Returns None, and raises a fault, if that fails.

    Raises:
        ConfigError: The plugin found a mistake in the configuration.
    """
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            return await components.start(name, make())
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        logger.exception("%s cannot be used", name)
        context.fault(name, f"cannot be used: {type(error).__name__}: {error}")
        return None


class UnavailableOutput(Output):
    """The output of a speaker whose own could not be started: it always fails."""

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
    """Return a function that opens the shared HTTP session at its first call. It is closed after the plugins."""
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
    """Return the configured routes, or the default ones."""
    configured = settings.core.routes
    return configured if isinstance(configured, tuple) else DEFAULT_ROUTES


def speakers_by_target(settings: Settings) -> dict[str, list[str]]:
    """Return the speakers that each target of this node addresses."""
    answer: dict[str, list[str]] = {"all": list(settings.core.speakers)}
    for name, speaker in settings.core.speakers.items():
        answer.setdefault(name, []).append(name)
        for group in speaker.groups:
            answer.setdefault(group, []).append(name)
    return answer
