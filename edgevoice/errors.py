"""The errors of EdgeVoice, as one tree.

EdgeVoiceError
├── ConfigError          the configuration has mistakes; carries all of them
├── PluginError          a plugin cannot be used
├── InvalidAnnouncement  an announcement that docs/guides/mqtt.md does not allow
├── TransportError       a transport failed to give all of the speech
│   ├── AccountRefused   the account, API key or model was rejected; another transport of it cannot help
│   └── TooManyRequests  the account allows no further request at the moment
├── ClipError            the audio of an announcement is incomplete
└── OutputError          an output cannot play
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class EdgeVoiceError(Exception):
    """The root of all errors. The text says what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class ConfigIssue:
    """A mistake in the configuration."""

    #: The key, such as `speakers.kitchen.volume`; empty for the file as a whole.
    path: str
    message: str
    #: The line in the file, if it is known.
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class ConfigError(EdgeVoiceError):
    """The configuration cannot be used. `issues` holds every mistake, not only the first."""

    def __init__(self, issues: Sequence[ConfigIssue], source: str = "") -> None:
        self.issues = tuple(issues)
        self.source = source
        head = f"{source}: " if source else ""
        super().__init__("\n".join(f"{head}{issue}" for issue in self.issues))


class PluginError(EdgeVoiceError):
    """A plugin cannot be used."""


class InvalidAnnouncement(EdgeVoiceError):
    """An announcement is not accepted.

    Args:
        reason: Reason code or sentence.
        key: The key at fault, if there is one.
        allowed: What would be allowed.
    """

    def __init__(self, reason: str, *, key: str | None = None, allowed: str | None = None) -> None:
        self.reason = reason
        self.key = key
        self.allowed = allowed
        super().__init__(": ".join(part for part in (key, reason, allowed) if part))


class TransportError(EdgeVoiceError):
    """A transport failed to give all of the speech. The next transport is tried."""


class AccountRefused(TransportError):
    """The account, API key or model was rejected (401, 402, 403, 410).

    No other transport of the same account is tried.
    """


class TooManyRequests(TransportError):
    """The account allows no further request at the moment (429).

    Args:
        message: What the server said.
        retry_after: Seconds that the server wants to be left alone, if it says so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ClipError(EdgeVoiceError):
    """The audio of an announcement is incomplete."""


class OutputError(EdgeVoiceError):
    """An output cannot play. The announcement may be tried again."""
