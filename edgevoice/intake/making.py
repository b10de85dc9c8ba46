"""Makes announcements: of what a source handed over, and of what was said before."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import UnsetType

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, RepeatPolicy, Urgency
from edgevoice.commands import LiveChunk, Replay, Say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.intake.payload import Repeat
    from edgevoice.synthesis.live import LiveText


def replay_of(said: Announcement, command: Replay, received_monotonic: float) -> Announcement:
    """What was said before, to be said once more."""
    return dataclasses.replace(
        said,
        id=f"{said.id[:50]}-r{uuid.uuid4().hex[:8]}",
        target=command.target,
        received_monotonic=received_monotonic,
        received_at=datetime.now(UTC),
        ttl=DEFAULT_TTL_S[said.urgency],
        not_before=0.0,
        tag=None,
        repeat=None,
        origin=command.origin,
    )


def build_announcement(
    command: Say | LiveChunk,
    values: Mapping[str, Any],
    warnings: tuple[str, ...] = (),
    *,
    live: LiveText | None = None,
    received_monotonic: float,
) -> Announcement:
    """The announcement of a command, with `values` as they were read; `live` takes the place of a text.

    `received_monotonic` is monotonic seconds.
    """
    urgency = values.get("urgency", Urgency.NORMAL)
    now = datetime.now(UTC)
    ttl = min(
        values.get("ttl", DEFAULT_TTL_S[urgency]), command.expires if command.expires is not None else 86400.0
    )
    return Announcement(
        id=values.get("id") or uuid.uuid4().hex[:12],
        target=command.target,
        text=values.get("text") if live is None else None,
        live=live,
        urgency=urgency,
        received_monotonic=received_monotonic,
        received_at=now,
        ttl=ttl,
        not_before=_seconds_until(values.get("not_before", 0.0), now),
        tag=values.get("tag"),
        voice=values.get("voice"),
        language=values.get("language"),
        speed=values.get("speed"),
        volume=values.get("volume"),
        chime=values.get("chime"),
        repeat=_insistence(values["repeat"]) if "repeat" in values else None,
        transport=values.get("transport"),
        private=values.get("private", False),
        resolves=values.get("resolves", False),
        warnings=warnings,
        topic=command.topic if isinstance(command, Say) else None,
        origin=command.origin,
    )


def _insistence(repeat: Repeat) -> RepeatPolicy:
    given = repeat.escalate if not isinstance(repeat.escalate, UnsetType) else None
    return RepeatPolicy(
        times=repeat.times if isinstance(repeat.times, int) else 3,
        every_s=repeat.every if isinstance(repeat.every, float | int) else 30.0,
        until_ack=repeat.until_ack is True,
        escalate_after=given.after if given and isinstance(given.after, int) else (1 if given else None),
        escalate_to=tuple(given.to) if given and isinstance(given.to, list) else (),
    )


def _seconds_until(moment: float | str, now: datetime) -> float:
    """Seconds from `now` to a number of seconds, or to the next "HH:MM" of the local clock."""
    if not isinstance(moment, str):
        return moment
    # Each from the clock's own date, as there may be a change of summer time between.
    today, at = now.astimezone().date(), time.fromisoformat(moment)
    then = datetime.combine(today, at).astimezone()
    if then < now:
        then = datetime.combine(today + timedelta(days=1), at).astimezone()
    return (then - now).total_seconds()
