"""Says of each command whether it is accepted: makes announcements of it, or tells why not."""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from edgevoice.announcement import TTL, Announcement, Urgency
from edgevoice.commands import Command, Piece, Say, Stop, Unusable
from edgevoice.errors import Refused
from edgevoice.outcome import Rejection
from edgevoice.payload import decode_utf8, read_payload
from edgevoice.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgevoice.live import LiveText
    from edgevoice.observers import Observers
    from edgevoice.speaker import Speaker
    from edgevoice.synthesis import Synthesis

logger = logging.getLogger(__name__)

NOT_YET = {
    "repeat": "repeating is not there yet; it is said once",
    "chime": "chimes are not there yet; it is said without",
    "resolves": "resolving by tag is not there yet; it is an announcement like any other",
}
"""Keys that are checked, but that this version does not act on."""


class Intake:
    """Where all commands of all sources arrive; `submit` never blocks and never raises."""

    def __init__(
        self, node: str, speakers: Mapping[str, Sequence[Speaker]], synthesis: Synthesis, observers: Observers
    ) -> None:
        """`speakers` are those that answer to each target."""
        self._node = node
        self._speakers = speakers
        self._synthesis = synthesis
        self._observers = observers
        self._known = {"transport": synthesis.transports}
        self._streams = Streams(self._accept, self._known)
        self._closed = False

    def submit(self, command: Command) -> None:
        """Accept a command, or tell why it is not."""
        try:
            self._take(command)
        except Refused as refusal:
            self._reject(command, refusal)
        except Exception:
            logger.exception("intake broke on a %s", type(command).__name__)
            self._reject(command, Refused("internal error; the log has it"))

    def close(self) -> None:
        """Accept nothing more."""
        self._closed = True
        self._streams.close()

    def _take(self, command: Command) -> None:
        if isinstance(command, Unusable):
            raise Refused(command.reason, key=command.key, allowed=command.allowed)
        if self._closed:
            raise Refused("shutting down")
        if command.target not in self._speakers:
            raise Refused(
                f"nobody here answers to {command.target!r}", key="target", allowed=", ".join(self._speakers)
            )
        match command:
            case Say():
                self._say(command)
            case Piece():
                self._streams.take(command)
            case Stop():
                self._stop(command)

    def _say(self, command: Say) -> None:
        reading = read_payload(command.payload, command.urgency, self._known)
        self._accept(command, reading.values, reading.warnings, None)

    def _stop(self, command: Stop) -> None:
        what = decode_utf8(command.payload).strip()
        for speaker in self._speakers[command.target]:
            speaker.stop("" if what == "PRESS" else what)

    def _accept(
        self,
        command: Say | Piece,
        values: Mapping[str, Any],
        warnings: tuple[str, ...],
        live: LiveText | None,
    ) -> Announcement:
        announcement = _announcement(command, values, warnings, live)
        speech = self._synthesis.speech(announcement)
        log = {"ANNOUNCEMENT_ID": announcement.id}
        logger.info("accepted for %s, %s", announcement.target, announcement.urgency, extra=log)
        for speaker in self._speakers[command.target]:
            speaker.add(speech)
        return announcement

    def _reject(self, command: Command, refusal: Refused) -> None:
        logger.info("rejected: %s", refusal)
        rejection = Rejection(
            node=self._node,
            at=datetime.now(UTC),
            target=command.target,
            reason=refusal.reason,
            key=refusal.key,
            allowed=refusal.allowed,
            id=command.id if isinstance(command, Piece) else None,
        )
        self._observers.on_rejected(rejection, command.origin)


def _announcement(
    command: Say | Piece, values: Mapping[str, Any], warnings: tuple[str, ...], live: LiveText | None
) -> Announcement:
    urgency = values.get("urgency", Urgency.NORMAL)
    now = datetime.now(UTC)
    ttl = min(values.get("ttl", TTL[urgency]), command.expires if command.expires is not None else 86400.0)
    not_yet = tuple(
        f"{key}: {NOT_YET[key]}" for key in NOT_YET if values.get(key, "none") not in ("none", False)
    )
    return Announcement(
        id=values.get("id") or uuid.uuid4().hex[:12],
        target=command.target,
        text=values.get("text") if live is None else None,
        live=live,
        urgency=urgency,
        arrived=asyncio.get_running_loop().time(),
        arrived_at=now,
        ttl=ttl,
        not_before=_seconds_until(values.get("not_before", 0.0), now),
        tag=values.get("tag"),
        voice=values.get("voice"),
        language=values.get("language"),
        speed=values.get("speed"),
        volume=values.get("volume"),
        transport=values.get("transport"),
        private=values.get("private", False),
        resolves=values.get("resolves", False),
        warnings=warnings + not_yet,
        origin=command.origin,
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
