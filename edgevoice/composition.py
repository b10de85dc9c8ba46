"""Build the speakers and the intake from the settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edgevoice.announcement import Urgency
from edgevoice.audio.chimes import Chimes
from edgevoice.components import speakers_by_target
from edgevoice.config.options import DAYS
from edgevoice.config.time_of_day import minute_of_day
from edgevoice.intake.intake import Intake
from edgevoice.intake.rate_limit import RateLimiter
from edgevoice.playback.speaker import Speaker
from edgevoice.plugin import SpeechOptions
from edgevoice.scheduler.policy import (
    DEFAULT_CHIMES,
    QuietWindow,
    RepeatGrowth,
    SpeakerPolicy,
    SpeakerSettings,
)
from edgevoice.synthesis.concurrency import ConcurrencyLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings
    from edgevoice.config.options import CoreOptions, QuietHours, SpeakerOptions
    from edgevoice.faults import Faults
    from edgevoice.plugin import Output
    from edgevoice.storage.recorder import Recorder
    from edgevoice.synthesis.synthesizer import Synthesizer


@dataclass(frozen=True, slots=True)
class Node:
    """The speakers of a node, and the intake that feeds them."""

    speakers: Mapping[str, Speaker]
    intake: Intake

    def publish_state(self) -> None:
        """Publish the state of each speaker."""
        for speaker in self.speakers.values():
            speaker.show()


def build_node(
    settings: Settings,
    outputs: Mapping[str, Output],
    synthesis: Synthesizer,
    recorder: Recorder,
    faults: Faults,
) -> Node:
    """Build the speakers and the intake; nothing runs yet."""
    core, chimes, clock = settings.core, Chimes(chimes_dir(settings)), local_clock(settings.core)
    escalations: asyncio.Queue[Announcement] = asyncio.Queue()
    speakers = {
        name: Speaker(
            name,
            outputs[name],
            SpeakerSettings(speaker_policy(settings, options), options.volume, clock),
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
        local_now=clock,
    )
    return Node(speakers, intake)


def speaker_policy(settings: Settings, speaker: SpeakerOptions) -> SpeakerPolicy:
    """Return the policy of one speaker. Its own quiet hours replace those of all."""
    core = settings.core
    hours = core.quiet_hours if speaker.quiet_hours is None else speaker.quiet_hours
    return SpeakerPolicy(
        volumes=speaker.volumes,
        quiet_volume=speaker.quiet_volume,
        critical_volume=speaker.critical_volume,
        quiet_hours=tuple(quiet_window(window) for window in hours),
        chimes=chimes_by_urgency(core),
        digest=core.digest or "off",
        digest_keep=core.digest_keep,
        say_age=core.say_age or None,
        language=settings.speech.language,
        growth=RepeatGrowth(core.insist.gap, core.insist.volume),
        queue=core.limits.queue,
    )


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


def quiet_window(hours: QuietHours) -> QuietWindow:
    """Return configured quiet hours as a window.

    Raises:
        ValueError: A value is not a time of day.
    """
    days = frozenset(DAYS.index(day) for day in hours.days)
    return QuietWindow(days, minute_of_day(hours.start), minute_of_day(hours.end))


def chimes_by_urgency(core: CoreOptions) -> Mapping[Urgency, str]:
    """Return the name of the chime of each urgency."""
    if isinstance(core.chime, str):
        return dict.fromkeys(Urgency, core.chime)
    return {**DEFAULT_CHIMES, **core.chime} if isinstance(core.chime, dict) else DEFAULT_CHIMES


def local_clock(core: CoreOptions) -> Callable[[], datetime]:
    """Return a clock of the configured time zone, or else of the machine's."""
    zone = ZoneInfo(core.timezone) if core.timezone else None
    return lambda: datetime.now(zone).astimezone(zone)


def chimes_dir(settings: Settings) -> Path | None:
    """Return the folder of the user's chimes. A relative path is relative to the configuration file."""
    named = settings.core.chimes_dir
    if named is None:
        return None
    folder = Path(named).expanduser()
    return folder if folder.is_absolute() or settings.file is None else settings.file.parent / folder
