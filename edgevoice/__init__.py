"""EdgeVoice: an announcement daemon for the home and the edge. Plugin authors import from here.

Names are loaded when they are first used (PEP 562), so that `import edgevoice` costs next to nothing: child
processes of plugins import it too. plugins/README.md describes each name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement, Urgency
    from edgevoice.audio import BYTES_PER_FRAME
    from edgevoice.audio.resample import Resampler
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
    from edgevoice.config.load import Settings, settings_from
    from edgevoice.config.load import load as load_settings
    from edgevoice.daemon import run as run_daemon
    from edgevoice.errors import (
        AccountRefused,
        ClipError,
        ConfigError,
        ConfigIssue,
        EdgeVoiceError,
        InvalidAnnouncement,
        OutputError,
        PluginError,
        TooManyRequests,
        TransportError,
    )
    from edgevoice.hookspecs import Registry, hookimpl
    from edgevoice.http_client import ConnectionCounter
    from edgevoice.http_client import open_session as open_http_session
    from edgevoice.logs import redact, register_secret
    from edgevoice.logs import setup as setup_logging
    from edgevoice.outcome import OUTCOMES, Attempt, Event, EventType, Rejection, SpeakerState
    from edgevoice.paths import state_dir
    from edgevoice.plugin import (
        API_VERSION,
        Clock,
        Context,
        NoOptions,
        Observer,
        Output,
        Plugin,
        Progress,
        Role,
        Source,
        SpeechOptions,
        SpeechRequest,
        SystemClock,
        Transport,
        WordMark,
    )
    from edgevoice.secrets import read_secret_file, secret_problem, systemd_credential
    from edgevoice.text.checks import check_text, closest
    from edgevoice.text.live import LiveText
    from edgevoice.text.sentences import sentence_ends
    from edgevoice.text.sentences import split as split_sentences

#: Module of each public name; "module:name" where it has another name there.
_MODULES = {
    "API_VERSION": "edgevoice.plugin",
    "AccountRefused": "edgevoice.errors",
    "Acknowledge": "edgevoice.commands",
    "Announcement": "edgevoice.announcement",
    "Attempt": "edgevoice.outcome",
    "BYTES_PER_FRAME": "edgevoice.audio",
    "Backoff": "edgevoice.backoff",
    "ClipError": "edgevoice.errors",
    "Clock": "edgevoice.plugin",
    "Command": "edgevoice.commands",
    "ConfigError": "edgevoice.errors",
    "ConfigIssue": "edgevoice.errors",
    "ConnectionCounter": "edgevoice.http_client",
    "Context": "edgevoice.plugin",
    "Digest": "edgevoice.commands",
    "EdgeVoiceError": "edgevoice.errors",
    "Event": "edgevoice.outcome",
    "EventType": "edgevoice.outcome",
    "InvalidAnnouncement": "edgevoice.errors",
    "InvalidCommand": "edgevoice.commands",
    "LiveChunk": "edgevoice.commands",
    "LiveText": "edgevoice.text.live",
    "NoOptions": "edgevoice.plugin",
    "OUTCOMES": "edgevoice.outcome",
    "Observer": "edgevoice.plugin",
    "Output": "edgevoice.plugin",
    "OutputError": "edgevoice.errors",
    "Plugin": "edgevoice.plugin",
    "PluginError": "edgevoice.errors",
    "Progress": "edgevoice.plugin",
    "Registry": "edgevoice.hookspecs",
    "Rejection": "edgevoice.outcome",
    "Replay": "edgevoice.commands",
    "Resampler": "edgevoice.audio.resample",
    "Role": "edgevoice.plugin",
    "Say": "edgevoice.commands",
    "SetSetting": "edgevoice.commands",
    "Settings": "edgevoice.config.load",
    "Source": "edgevoice.plugin",
    "SpeakerState": "edgevoice.outcome",
    "SpeechOptions": "edgevoice.plugin",
    "SpeechRequest": "edgevoice.plugin",
    "Stop": "edgevoice.commands",
    "Submit": "edgevoice.commands",
    "SystemClock": "edgevoice.plugin",
    "TooManyRequests": "edgevoice.errors",
    "Transport": "edgevoice.plugin",
    "TransportError": "edgevoice.errors",
    "Urgency": "edgevoice.announcement",
    "WordMark": "edgevoice.plugin",
    "check_text": "edgevoice.text.checks",
    "closest": "edgevoice.text.checks",
    "hookimpl": "edgevoice.hookspecs",
    "load_settings": "edgevoice.config.load:load",
    "open_http_session": "edgevoice.http_client:open_session",
    "read_secret_file": "edgevoice.secrets",
    "redact": "edgevoice.logs",
    "register_secret": "edgevoice.logs",
    "run_daemon": "edgevoice.daemon:run",
    "secret_problem": "edgevoice.secrets",
    "sentence_ends": "edgevoice.text.sentences",
    "settings_from": "edgevoice.config.load",
    "setup_logging": "edgevoice.logs:setup",
    "split_sentences": "edgevoice.text.sentences:split",
    "state_dir": "edgevoice.paths",
    "systemd_credential": "edgevoice.secrets",
}

__all__ = [
    "API_VERSION",
    "BYTES_PER_FRAME",
    "OUTCOMES",
    "AccountRefused",
    "Acknowledge",
    "Announcement",
    "Attempt",
    "Backoff",
    "ClipError",
    "Clock",
    "Command",
    "ConfigError",
    "ConfigIssue",
    "ConnectionCounter",
    "Context",
    "Digest",
    "EdgeVoiceError",
    "Event",
    "EventType",
    "InvalidAnnouncement",
    "InvalidCommand",
    "LiveChunk",
    "LiveText",
    "NoOptions",
    "Observer",
    "Output",
    "OutputError",
    "Plugin",
    "PluginError",
    "Progress",
    "Registry",
    "Rejection",
    "Replay",
    "Resampler",
    "Role",
    "Say",
    "SetSetting",
    "Settings",
    "Source",
    "SpeakerState",
    "SpeechOptions",
    "SpeechRequest",
    "Stop",
    "Submit",
    "SystemClock",
    "TooManyRequests",
    "Transport",
    "TransportError",
    "Urgency",
    "WordMark",
    "__version__",
    "check_text",
    "closest",
    "hookimpl",
    "load_settings",
    "open_http_session",
    "read_secret_file",
    "redact",
    "register_secret",
    "run_daemon",
    "secret_problem",
    "sentence_ends",
    "settings_from",
    "setup_logging",
    "split_sentences",
    "state_dir",
    "systemd_credential",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("edgevoice.version").edgevoice_version()
    elif name in _MODULES:
        module, _, original = _MODULES[name].partition(":")
        value = getattr(importlib.import_module(module), original or name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
