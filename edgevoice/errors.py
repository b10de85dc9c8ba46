"""The errors EdgeVoice raises, drawn as one tree.

EdgeVoiceError
├── ConfigError        the configuration has mistakes (all of them at once)
├── PluginError        a plugin cannot be used, and why
├── Refused            an announcement that the contract refuses
├── TransportError     a transport gave no (more) speech
│   ├── AccountRefused the account, the key or the model is refused: no other request would fare better
│   └── TooManyRequests one request more than the account allows at a time
├── ClipError          the audio of an announcement ended before its end
└── OutputError        an output cannot play
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class EdgeVoiceError(Exception):
    """The root of them all; its text says what was wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class ConfigIssue:
    """One mistake in the configuration: where (`speakers.kitchen.volume`), on which line, and what."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class ConfigError(EdgeVoiceError):
    """The configuration cannot be used; carries every mistake, not only the first."""

    def __init__(self, mistakes: Sequence[ConfigIssue], source: str = "") -> None:
        self.issues = tuple(mistakes)
        self.source = source
        head = f"{source}: " if source else ""
        super().__init__("\n".join(f"{head}{mistake}" for mistake in self.issues))


class PluginError(EdgeVoiceError):
    """A plugin cannot be used here."""


class InvalidAnnouncement(EdgeVoiceError):
    """An announcement that is not accepted: the reason, the key it is about, and what is allowed."""

    def __init__(self, reason: str, *, key: str | None = None, allowed: str | None = None) -> None:
        self.reason = reason
        self.key = key
        self.allowed = allowed
        super().__init__(": ".join(part for part in (key, reason, allowed) if part))


class TransportError(EdgeVoiceError):
    """A transport gave no (more) speech; the next one may."""


class AccountRefused(TransportError):
    """Refused for the account, key or model (401, 402, 403, 410): only the local voice can help."""


class TooManyRequests(TransportError):
    """Refused as one too many (429); `retry_after` is the seconds the server wants to be left alone, if it says."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class ClipError(EdgeVoiceError):
    """The audio of an announcement ended before its end."""


class OutputError(EdgeVoiceError):
    """An output cannot play; the announcement may be tried again."""
