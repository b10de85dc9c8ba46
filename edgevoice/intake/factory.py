"""Makes announcements: of what a source submitted, of what was said before, and payloads of announcements."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

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
    local_now: datetime | None = None,
) -> Announcement:
    """Return the announcement of a command whose payload has `values`; `live` takes the place of a text.

    `local_now` is the time on the node's local clock, which `not_before: "HH:MM"` refers to; by default the system's.
    """
    urgency = values.get("urgency", Urgency.NORMAL)
    local_now = local_now or datetime.now().astimezone()
    moment = values.get("not_before", 0.0)
    wait_s = _seconds_until(moment, local_now)
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
        received_at=local_now.astimezone(UTC),
        ttl=ttl,
        not_before=wait_s,
        due_at=local_now.astimezone(UTC) + timedelta(seconds=wait_s) if isinstance(moment, str) else None,
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
        due_at=None,
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


def _seconds_until(moment: float | str, local_now: datetime) -> float:
    """Return a number of seconds unchanged, or the seconds until the local clock shows "HH:MM" the next time."""
    if not isinstance(moment, str):
        return moment
    now, today, at = local_now.astimezone(UTC), local_now.date(), time.fromisoformat(moment)
    then = _local_time(today, at, local_now)
    if then < now:
        then = _local_time(today + timedelta(days=1), at, local_now)
    return (then - now).total_seconds()


def _local_time(day: date, at: time, local_now: datetime) -> datetime:
    """Return when the local clock shows `at` on a day. Daylight saving time may begin or end before that."""
    naive = datetime.combine(day, at)
    # Without a configured zone, the offset of `local_now` is only that of this moment: ask the system.
    has_zone = isinstance(local_now.tzinfo, ZoneInfo)
    return (naive.replace(tzinfo=local_now.tzinfo) if has_zone else naive).astimezone(UTC)
