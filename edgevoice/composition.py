"""Build the daemon from the settings: start the plugins, then make the speakers and the intake.

A plugin that fails to start is reported as a fault; the others run on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from edgevoice.announcement import Urgency
from edgevoice.audio.chimes import Chimes
from edgevoice.config.options import DAYS, minute_of_day
from edgevoice.errors import ConfigError, ConfigIssue, OutputError
from edgevoice.intake.intake import Intake
from edgevoice.intake.rate_limit import RateLimiter
from edgevoice.playback.speaker import Speaker
from edgevoice.plugin import Context, Observer, Output, Role, Source, SpeechOptions, SystemClock
from edgevoice.scheduler.policy import (
    DEFAULT_CHIMES,
    QuietWindow,
    SpeakerPolicy,
    SpeakerSettings,
)
from edgevoice.synthesis.concurrency import ConcurrencyLimiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AsyncExitStack
    from pathlib import Path

    import aiohttp

    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings
    from edgevoice.config.options import CoreOptions, QuietHours, SpeakerOptions
    from edgevoice.faults import Faults
    from edgevoice.outcome import Event
    from edgevoice.plugin import Plugin, Progress, Transport
    from edgevoice.storage.recorder import Recorder
    from edgevoice.synthesis.synthesizer import Synthesizer

logger = logging.getLogger(__name__)

#: How long a plugin may take to be entered, and an output to be probed.
START_TIMEOUT_S = 10.0

P = TypeVar("P", bound="Plugin")
S = TypeVar("S", Source, Observer)


class Usable(NamedTuple):
    """The transports that can be used with a configuration on this machine, and why the others cannot."""

    names: list[str]
    #: The usable transports of last resort.
    fallbacks: list[str]
    #: The reason of each transport that cannot be used.
    reasons: dict[str, str]
    #: Transports that are installed, but lack configuration such as an API key.
    unconfigured: frozenset[str]


def usable_transports(settings: Settings) -> Usable:
    """Return which transports can be used now."""
    kinds, reasons, unconfigured = settings.plugins.transports, {}, set()
    for name, kind in kinds.items():
        if missing := kind.missing_dependency():
            reasons[name] = missing
        elif why := kind.unavailable_reason(settings.transport_options(name)):
            reasons[name] = why
            unconfigured.add(name)
    names = [name for name in kinds if name not in reasons]
    fallbacks = [name for name in names if kinds[name].role is Role.FALLBACK]
    return Usable(names, fallbacks, reasons, frozenset(unconfigured))


class PluginStarter:
    """Starts plugins. They are closed in reverse order with the exit stack.

    `folder` is the state folder; `delivered` is called with each outcome that a durable observer has delivered.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        stack: AsyncExitStack,
        faults: Faults,
        delivered: Callable[[str, Event], None],
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._started: dict[str, Plugin] = {}
        self._session: aiohttp.ClientSession | None = None
        stack.push_async_callback(self._close_session)  # now, so that it is closed after the plugins
        core = settings.core
        #: The context that every plugin is given.
        self.context = Context(
            node=core.node,
            state_dir=folder,
            speakers=tuple(core.speakers),
            targets=frozenset(speakers_by_target(settings)),
            groups={name: speaker.groups for name, speaker in core.speakers.items()},
            speech=settings.speech,
            clock=system_clock(core),
            http_session=self._http_session,
            fault=faults.set,
            stalled=self._stalled,
            ready=asyncio.Event(),
            delivered=delivered,
        )

    async def transports(self) -> dict[str, Transport]:
        """Start the transports that can be used here.

        Raises:
            ConfigError: There is none.
        """
        usable, transports = usable_transports(self._settings), {}
        for name, kind in self._settings.plugins.transports.items():
            make = partial(kind, self.context, self._settings.transport_options(name))
            if name not in usable.reasons:
                if plugin := await self._start(f"transport {name}", make):
                    transports[name] = plugin
            else:
                level = logging.DEBUG if name in usable.unconfigured else logging.INFO
                logger.log(level, "transport %s is not used: %s", name, usable.reasons[name])
        self._check_voices(usable)
        return transports

    def _check_voices(self, usable: Usable) -> None:
        """Log that only fallback voices can speak; raise ConfigError if no voice can."""
        kinds = self._settings.plugins.transports
        if not usable.names:
            # A section is what a user can change.
            whys = dict.fromkeys(
                f"{kinds[name].section or name}: {why}" for name, why in usable.reasons.items()
            )
            why = "; ".join(whys) or "no transport is installed"
            raise ConfigError([ConfigIssue("", f"no voice can speak: {why}")])
        if usable.names == usable.fallbacks:
            logger.warning(
                "the %s voice speaks all announcements: %s",
                usable.names[0],
                "; ".join(sorted(set(usable.reasons.values()))) or "no other transport is installed",
            )

    async def outputs(self) -> dict[str, Output]:
        """Start the output of each speaker. One that cannot be used is replaced by `UnavailableOutput`."""
        outputs: dict[str, Output] = {}
        for name, speaker in self._settings.core.speakers.items():
            context = dataclasses.replace(self.context, speaker=name)
            make = partial(
                self._settings.plugins.outputs[speaker.output], context, self._settings.outputs[name]
            )
            output = await self._start(f"speaker {name}", make)
            outputs[name] = output or UnavailableOutput(context, f"its output {speaker.output!r} is broken")
        return outputs

    async def plugins(self, kinds: Mapping[str, type[S]]) -> dict[str, S]:
        """Start sources or observers, each with its section of the configuration."""
        plugins = {}
        for name, kind in kinds.items():
            make = partial(kind, self.context, self._settings.section(name))
            if plugin := await self._start(name, make):
                plugins[name] = plugin
        return plugins

    async def _start(self, name: str, make: Callable[[], P]) -> P | None:
        """Construct and enter a plugin. Returns None, and raises a fault, if that fails."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                plugin = make()
                await self._stack.enter_async_context(plugin)
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:
            logger.exception("%s cannot be used", name)
            self.context.fault(name, f"cannot be used: {type(error).__name__}: {error}")
            return None
        self._started[name] = plugin
        return plugin

    def _stalled(self) -> list[str]:
        """Return a sentence for each plugin that makes no progress and cannot recover."""
        return [f"{name}: {why}" for name, plugin in self._started.items() if (why := plugin.stall_reason())]

    def _http_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            from edgevoice.http_client import open_session  # noqa: PLC0415 - aiohttp is heavy

            self._session = open_session()
        return self._session

    async def _close_session(self) -> None:
        if self._session is not None:
            await self._session.close()


class UnavailableOutput(Output):
    """The output of a speaker whose own could not be started: it always fails."""

    def __init__(self, context: Context, why: str) -> None:
        super().__init__(context, None)
        self._why = why

    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        del audio, rate, progress
        raise OutputError(self._why)


async def probe_output(output: Output) -> None:
    """Probe an output. One that does not work now is a fault; it may work later."""
    name = f"speaker {output.speaker}"
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await output.probe()
    except (OutputError, TimeoutError) as error:
        no_answer = f"its output did not answer within {START_TIMEOUT_S:g} s"
        output.context.fault(name, str(error) or no_answer)
    except (Exception, SystemExit) as error:
        logger.exception("the output of %s broke", output.speaker)
        output.context.fault(name, f"its output broke: {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Node:
    """The speakers of a node, and the intake that feeds them."""

    speakers: Mapping[str, Speaker]
    intake: Intake


def build_node(
    settings: Settings,
    outputs: Mapping[str, Output],
    synthesis: Synthesizer,
    recorder: Recorder,
    faults: Faults,
) -> Node:
    """Build the speakers and the intake; nothing runs yet."""
    core, chimes, local_now = settings.core, Chimes(settings.core.chimes_dir), system_clock(settings.core).now
    escalations: asyncio.Queue[Announcement] = asyncio.Queue()
    speakers = {
        name: Speaker(
            name,
            outputs[name],
            speaker_settings(settings, options),
            chimes=chimes,
            new_job=synthesis.new_job,
            escalate=escalations.put_nowait,
            recorder=recorder,
            faults=faults,
        )
        for name, options in core.speakers.items()
    }
    answering = {
        target: [speakers[name] for name in names] for target, names in speakers_by_target(settings).items()
    }
    intake = Intake(
        core.node,
        answering,
        synthesis,
        recorder,
        escalations=escalations,
        rate_limiter=RateLimiter(core.limits),
        persist=recorder.persist,
        chimes=chimes.names,
        language=settings.speech.language,
        local_now=local_now,
    )
    return Node(speakers, intake)


def speakers_by_target(settings: Settings) -> dict[str, list[str]]:
    """Return the speakers that each target of this node addresses."""
    answer: dict[str, list[str]] = {"all": list(settings.core.speakers)}
    for name, speaker in settings.core.speakers.items():
        for target in (name, *speaker.groups):
            answer.setdefault(target, []).append(name)
    return answer


def speaker_settings(settings: Settings, speaker: SpeakerOptions) -> SpeakerSettings:
    """Return the settings of a speaker at the start: nothing is muted or held."""
    return SpeakerSettings(speaker_policy(settings, speaker), speaker.volume, system_clock(settings.core).now)


def speaker_policy(settings: Settings, speaker: SpeakerOptions) -> SpeakerPolicy:
    """Return the policy of one speaker. Its own quiet hours replace those of all."""
    core = settings.core
    hours = core.quiet_hours if speaker.quiet_hours is None else speaker.quiet_hours
    return SpeakerPolicy(
        volumes=speaker.volumes,
        quiet_volume=speaker.quiet_volume,
        critical_volume=speaker.critical_volume,
        quiet_hours=tuple(_quiet_window(window) for window in hours),
        chimes=chimes_by_urgency(core),
        digest=core.digest or "off",
        digest_keep=core.digest_keep,
        say_age=core.say_age or None,
        language=settings.speech.language,
        growth=core.insist,
        queue=core.limits.queue,
    )


def _quiet_window(hours: QuietHours) -> QuietWindow:
    days = frozenset(DAYS.index(day) for day in hours.days)
    return QuietWindow(days, minute_of_day(hours.start), minute_of_day(hours.end))


def chimes_by_urgency(core: CoreOptions) -> Mapping[Urgency, str]:
    """Return the name of the chime of each urgency."""
    if isinstance(core.chime, str):
        return dict.fromkeys(Urgency, core.chime)
    return {**DEFAULT_CHIMES, **core.chime}


def system_clock(core: CoreOptions) -> SystemClock:
    """Return a clock of the configured time zone, or else of the machine's."""
    return SystemClock(ZoneInfo(core.timezone) if core.timezone else None)


def concurrency_limiters(settings: Settings, faults: Faults) -> dict[str, ConcurrencyLimiter]:
    """Return one concurrency limiter for each account; transports of one account share their options."""
    limiters = {}
    for name, kind in settings.plugins.transports.items():
        if (account := kind.account) is not None and account not in limiters:
            section = kind.section or name
            options = settings.transport_options(name)
            limiters[account] = ConcurrencyLimiter(
                options.concurrency if isinstance(options, SpeechOptions) else 1,
                partial(faults.set, f"{section}.concurrency"),
                section=section,
            )
    return limiters
