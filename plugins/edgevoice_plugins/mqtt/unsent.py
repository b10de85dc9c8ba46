"""Outcomes that were promised, in a file until the broker has them, so that SIGKILL loses none."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

from edgevoice_plugins.mqtt.outbox import Outgoing

if TYPE_CHECKING:
    from pathlib import Path

MOST = 200
"""Outcomes that are kept; what an outage brings beyond them is only in the history."""
_log = logging.getLogger("edgevoice.mqtt")


class OutboxJournal:
    """A line for each message, emptied whenever the broker has them all. Without a disk it keeps nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._waiting: list[Outgoing] = []

    def open(self) -> list[Outgoing]:
        """What an earlier process left: it may have been published, so it is marked as repeated."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            left = self._read(self._file)
        except OSError as error:
            _log.debug("outcomes are not kept for a restart: %s", error)
            return []
        self._waiting = left[-MOST:]
        return list(self._waiting)

    def _read(self, file: int) -> list[Outgoing]:
        with os.fdopen(os.dup(file), "rb") as lines:
            found = lines.read()
        if found and not found.endswith(b"\n"):
            os.write(file, b"\n")
        return [message for line in found.splitlines() if (message := _message(line)) is not None]

    def put(self, message: Outgoing) -> None:
        """Keep it until the broker has it."""
        if len(self._waiting) < MOST:
            self._waiting.append(message)
            self._write(
                json.dumps({"topic": message.topic, "payload": message.payload.decode()}).encode() + b"\n"
            )

    def sent(self, message: Outgoing) -> None:
        """The broker has it."""
        if message in self._waiting:
            self._waiting.remove(message)
            if not self._waiting:
                self._write(None)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: bytes | None) -> None:
        """Append, or with None empty the file; on a full disk the journal has the fault."""
        if self._file is None:
            return
        try:
            if line is None:
                os.ftruncate(self._file, 0)
            else:
                os.write(self._file, line)
        except OSError as error:
            _log.debug("an outcome is not kept for a restart: %s", error)


def _message(line: bytes) -> Outgoing | None:
    """The message of a line; None if it was cut off in the middle."""
    try:
        kept = json.loads(line)
        payload = json.dumps({**json.loads(kept["payload"]), "repeated": True}).encode()
        return Outgoing(topic=kept["topic"], payload=payload)
    except (ValueError, KeyError, TypeError):
        return None
