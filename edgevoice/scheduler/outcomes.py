"""Which announcements finished lately, and the events that tell the outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgevoice.outcome import Event, EventType, Timings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from edgevoice.outcome import Attempt
    from edgevoice.scheduler.actions import Emit
    from edgevoice.synthesis.routing import Decision

#: Seconds for which the id of a finished announcement makes another one a duplicate.
REMEMBERED_S = 86_400.0
#: More than thirty a minute, all day long.
MAX_REMEMBERED = 50_000


class OutcomeLog:
    """The ids of the announcements that finished within 24 h; times are monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def has_finished(self, id_: str, now: float) -> bool:
        return self._until.get(id_, now) > now

    def remember(self, id_: str, now: float) -> None:
        """Remember that an announcement finished now."""
        self._until.pop(id_, None)
        self._until[id_] = now + REMEMBERED_S
        while (oldest := next(iter(self._until))) != id_ and (
            self._until[oldest] <= now or len(self._until) > MAX_REMEMBERED
        ):
            del self._until[oldest]

    def restore(self, until: Mapping[str, float]) -> None:
        """Take over ids that finished before a restart, and until when each is remembered."""
        self._until.update(sorted(until.items(), key=lambda entry: entry[1]))


class SynthesisReport(Protocol):
    """The synthesis figures in an event of an announcement; moments are monotonic seconds."""

    @property
    def decision(self) -> Decision | None: ...
    @property
    def transport(self) -> str | None: ...
    @property
    def cached(self) -> bool: ...
    @property
    def attempts(self) -> Sequence[Attempt]: ...
    @property
    def requested_at(self) -> float | None: ...
    @property
    def first_audio_at(self) -> float | None: ...


def build_event(emit: Emit, speaker: str, synthesis: SynthesisReport, at: datetime) -> Event:
    """Return the event that an action tells, as it is published (contract, "Out")."""
    announcement = emit.item.announcement
    live_warnings = announcement.live.warnings if announcement.live else ()

    def since_arrival(moment: float | None) -> int | None:
        return None if moment is None else max(0, round((moment - announcement.received_monotonic) * 1000))

    return Event(
        event_type=emit.type,
        id=announcement.id,
        speaker=speaker,
        target=announcement.target,
        at=at,
        urgency=announcement.urgency,
        tag=announcement.tag,
        reason=emit.reason,
        repeated=announcement.repeated,
        warnings=announcement.warnings + live_warnings,
        transport=synthesis.transport,
        why=synthesis.decision.why if synthesis.decision else None,
        cached=synthesis.cached,
        attempts=tuple(synthesis.attempts),
        ms=Timings(
            queued=since_arrival(synthesis.requested_at),
            first_audio=since_arrival(synthesis.first_audio_at),
            first_sound=since_arrival(emit.first_sound_at),
            first_speech=since_arrival(emit.first_speech_at),
            total=since_arrival(emit.ended_at),
        ),
        spoken_s=emit.spoken_s,
        volume=emit.volume,
        round=emit.round if emit.type is EventType.STARTED else None,
    )
