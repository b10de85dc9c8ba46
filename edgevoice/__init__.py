"""EdgeVoice: an announcement daemon for the home and the edge. Plugin authors import from here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from edgevoice.announcement import Announcement, Urgency
from edgevoice.commands import (
    Acknowledge,
    Command,
    Digest,
    Piece,
    Replay,
    Say,
    Stop,
    Submit,
    Switch,
    Unusable,
)
from edgevoice.errors import (
    AccountRefused,
    ConfigError,
    EdgeVoiceError,
    OutputError,
    PluginError,
    Refused,
    TransportError,
)
from edgevoice.hookspecs import Register, hookimpl
from edgevoice.outcome import Event, Rejection, SpeakerState, Step
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
    "Command",
    "ConfigError",
    "Context",
    "Digest",
    "EdgeVoiceError",
    "Event",
    "NoOptions",
    "Observer",
    "Output",
    "OutputError",
    "Piece",
    "PluginError",
    "Progress",
    "Refused",
    "Register",
    "Rejection",
    "Replay",
    "Say",
    "Server",
    "Source",
    "SpeakerState",
    "SpeechRequest",
    "Step",
    "Stop",
    "Submit",
    "Switch",
    "Transport",
    "TransportError",
    "Unusable",
    "Urgency",
    "WordMark",
    "__version__",
    "hookimpl",
]
