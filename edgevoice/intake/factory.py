"""Makes announcements: of what a source submitted, of what was said before, and payloads of announcements."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UnsetType

from edgevoice.announcement import DEFAULT_TTL_S, Announcement, RepeatPolicy, Urgency
from edgevoice.commands import LiveChunk, Replay, Say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.intake.payload import Repeat
    from edgevoice.text.live import LiveText


def build_announcement(
    command: Say | LiveChunk,
    values: Mapping[str, Any],
    warnings: tuple[str, ...] = (),
    *,
    live: LiveText | None = None,
    received_monotonic: float,
) -> Announcement:
    """Return the announcement of a command whose payload has `values`; `live` takes the place of a text."""
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
        repeat=_repeat_policy(values["repeat"]) if "repeat" in values else None,
        transport=values.get("transport"),
        private=values.get("private", False),
        resolves=values.get("resolves", False),
        warnings=warnings,
        topic=command.topic if isinstance(command, Say) else None,
        origin=command.origin,
    )


def payload_of(announcement: Announcement) -> bytes:
    """Return a payload that `build_announcement` makes the same announcement of, apart from its times."""
    policy = announcement.repeat
    keys: dict[str, Any] = {}
    for key in ("text", "id", "tag", "voice", "language", "speed", "volume", "chime", "transport"):
        if (value := getattr(announcement, key)) is not None:
            keys[key] = value
    keys |= {"urgency": str(announcement.urgency), "ttl": min(max(announcement.ttl, 1.0), 86_400.0)}
    if announcement.private or announcement.resolves:
        keys |= {"private": announcement.private, "resolves": announcement.resolves}
    if policy is not None:
        keys["repeat"] = {"times": policy.times or 1, "every": policy.every_s, "until_ack": policy.until_ack}
        if policy.escalate_after is not None and policy.escalate_to:
            escalate = {"after": policy.escalate_after, "to": list(policy.escalate_to)}
            keys["repeat"]["escalate"] = escalate
    return msgspec.json.encode(keys)


def replay_of(said: Announcement, command: Replay, received_monotonic: float) -> Announcement:
    """Return an announcement that says again what was said before."""
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


def _repeat_policy(repeat: Repeat) -> RepeatPolicy:
    given = repeat.escalate if not isinstance(repeat.escalate, UnsetType) else None
    return RepeatPolicy(
        times=repeat.times if isinstance(repeat.times, int) else 3,
        every_s=repeat.every if isinstance(repeat.every, float | int) else 30.0,
        until_ack=repeat.until_ack is True,
        escalate_after=given.after if given and isinstance(given.after, int) else (1 if given else None),
        escalate_to=tuple(given.to) if given and isinstance(given.to, list) else (),
    )


def _seconds_until(moment: float | str, now: datetime) -> float:
    """Return a number of seconds as it is, or the seconds from `now` to the next "HH:MM" of the local clock."""
    if not isinstance(moment, str):
        return moment
    # Each from the clock's own date, as there may be a change of summer time between.
    today, at = now.astimezone().date(), time.fromisoformat(moment)
    then = datetime.combine(today, at).astimezone()
    if then < now:
        then = datetime.combine(today + timedelta(days=1), at).astimezone()
    return (then - now).total_seconds()
