"""The inside of a node: its speakers, and the intake before them, made from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice.assembly import speakers_by_target
from edgevoice.intake.intake import Intake
from edgevoice.intake.storms import RateLimiter
from edgevoice.manners import chimes_dir, local_clock, rate_limits, speaker_policy
from edgevoice.speaker.chimes import Chimes
from edgevoice.speaker.presence import SpeakerSettings
from edgevoice.speaker.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings
    from edgevoice.faults import Faults
    from edgevoice.journal.keeper import Keeper
    from edgevoice.observers import Observers
    from edgevoice.plugin import Output
    from edgevoice.synthesis.synthesis import Synthesizer


@dataclass(frozen=True, slots=True)
class Node:
    """What stands between the sources and the outputs."""

    speakers: Mapping[str, Speaker]
    intake: Intake

    def publish_state(self) -> None:
        """Tell the state of each speaker."""
        for speaker in self.speakers.values():
            speaker.show()


def build_node(
    settings: Settings,
    outputs: Mapping[str, Output],
    synthesis: Synthesizer,
    observers: Observers,
    faults: Faults,
    keeper: Keeper,
) -> Node:
    """Make the speakers and the intake; nothing is running yet."""
    core, chimes, clock = settings.core, Chimes(chimes_dir(settings)), local_clock(settings.core)

    def escalate(announcement: Announcement) -> None:
        intake.escalate(announcement)

    speakers = {
        name: Speaker(
            name,
            outputs[name],
            SpeakerSettings(speaker_policy(core, options), options.volume, clock),
            chimes=chimes,
            speech_of=synthesis.new_job,
            escalate=escalate,
            observers=observers,
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
        observers,
        storms=RateLimiter(rate_limits(core)),
        keep=keeper.keep,
        chimes=chimes.names,
        language=core.lightning.language,
    )
    return Node(speakers, intake)
