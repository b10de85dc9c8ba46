"""EdgeVoice: an announcement daemon for the home and the edge. Plugin authors import from here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from edgevoice.announcement import Announcement, Urgency
from edgevoice.backoff import Backoff
from edgevoice.commands import (
    Acknowledge,
    Command,
    Digest,
    InvalidCommand,
    LiveChunk,
    Replay,
    Say,
    SetSetting,
    Stop,
    Submit,
)
from edgevoice.errors import (
    AccountRefused,
    ConfigError,
    EdgeVoiceError,
    InvalidAnnouncement,
    OutputError,
    PluginError,
    TooManyRequests,
    TransportError,
)
from edgevoice.hookspecs import Registry, hookimpl
from edgevoice.outcome import Event, EventType, Rejection, SpeakerState
from edgevoice.plugin import (
    Context,
    NoOptions,
    Observer,
    Output,
    Progress,
    Server,
    Source,
    SpeechRequest,
    Transport,
    WordMark,
)

try:
    __version__ = version("edgevoice")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0"

__all__ = [
    "AccountRefused",
    "Acknowledge",
    "Announcement",
    "Backoff",
    "Command",
    "ConfigError",
    "Context",
    "Digest",
    "EdgeVoiceError",
    "Event",
    "EventType",
    "InvalidAnnouncement",
    "InvalidCommand",
    "LiveChunk",
    "NoOptions",
    "Observer",
    "Output",
    "OutputError",
    "PluginError",
    "Progress",
    "Registry",
    "Rejection",
    "Replay",
    "Say",
    "Server",
    "SetSetting",
    "Source",
    "SpeakerState",
    "SpeechRequest",
    "Stop",
    "Submit",
    "TooManyRequests",
    "Transport",
    "TransportError",
    "Urgency",
    "WordMark",
    "__version__",
    "hookimpl",
]
