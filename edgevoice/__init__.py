"""EdgeVoice: an announcement daemon for the home and the edge. Plugin authors import from here.

Names are loaded when they are first used (PEP 562), so that `import edgevoice` costs next to nothing: child
processes of plugins import it too. plugins/README.md describes each name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement as Announcement
    from edgevoice.announcement import Urgency as Urgency
    from edgevoice.audio import BYTES_PER_FRAME as BYTES_PER_FRAME
    from edgevoice.audio.resample import Resampler as Resampler
    from edgevoice.backoff import Backoff as Backoff
    from edgevoice.commands import Acknowledge as Acknowledge
    from edgevoice.commands import Command as Command
    from edgevoice.commands import Digest as Digest
    from edgevoice.commands import InvalidCommand as InvalidCommand
    from edgevoice.commands import LiveChunk as LiveChunk
    from edgevoice.commands import Replay as Replay
    from edgevoice.commands import Say as Say
    from edgevoice.commands import SetSetting as SetSetting
    from edgevoice.commands import Stop as Stop
    from edgevoice.commands import Submit as Submit
    from edgevoice.config import Settings as Settings
    from edgevoice.config import load_settings as load_settings
    from edgevoice.config import settings_from as settings_from
    from edgevoice.daemon import run as run_daemon
    from edgevoice.errors import AccountRefused as AccountRefused
    from edgevoice.errors import ClipError as ClipError
    from edgevoice.errors import ConfigError as ConfigError
    from edgevoice.errors import ConfigIssue as ConfigIssue
    from edgevoice.errors import EdgeVoiceError as EdgeVoiceError
    from edgevoice.errors import InvalidAnnouncement as InvalidAnnouncement
    from edgevoice.errors import OutputError as OutputError
    from edgevoice.errors import PluginError as PluginError
    from edgevoice.errors import TooManyRequests as TooManyRequests
    from edgevoice.errors import TransportError as TransportError
    from edgevoice.http_client import ConnectionCounter as ConnectionCounter
    from edgevoice.http_client import open_session as open_http_session
    from edgevoice.logs import redact as redact
    from edgevoice.logs import register_secret as register_secret
    from edgevoice.logs import setup as setup_logging
    from edgevoice.outcome import OUTCOMES as OUTCOMES
    from edgevoice.outcome import Attempt as Attempt
    from edgevoice.outcome import Event as Event
    from edgevoice.outcome import EventType as EventType
    from edgevoice.outcome import Rejection as Rejection
    from edgevoice.outcome import SpeakerState as SpeakerState
    from edgevoice.paths import state_dir as state_dir
    from edgevoice.plugin import API_VERSION as API_VERSION
    from edgevoice.plugin import Clock as Clock
    from edgevoice.plugin import Context as Context
    from edgevoice.plugin import NoOptions as NoOptions
    from edgevoice.plugin import Observer as Observer
    from edgevoice.plugin import Output as Output
    from edgevoice.plugin import Plugin as Plugin
    from edgevoice.plugin import Progress as Progress
    from edgevoice.plugin import Registry as Registry
    from edgevoice.plugin import Role as Role
    from edgevoice.plugin import Source as Source
    from edgevoice.plugin import SpeechOptions as SpeechOptions
    from edgevoice.plugin import SpeechRequest as SpeechRequest
    from edgevoice.plugin import SystemClock as SystemClock
    from edgevoice.plugin import Transport as Transport
    from edgevoice.plugin import WordMark as WordMark
    from edgevoice.plugin import hookimpl as hookimpl
    from edgevoice.secrets import read_secret_file as read_secret_file
    from edgevoice.secrets import secret_problem as secret_problem
    from edgevoice.secrets import systemd_credential as systemd_credential
    from edgevoice.text.checks import check_text as check_text
    from edgevoice.text.checks import closest as closest
    from edgevoice.text.live import LiveText as LiveText
    from edgevoice.text.sentences import sentence_ends as sentence_ends
    from edgevoice.text.sentences import split as split_sentences

#: Module of the public names.
_NAMES = {
    "edgevoice.announcement": "Announcement Urgency",
    "edgevoice.audio": "BYTES_PER_FRAME",
    "edgevoice.audio.resample": "Resampler",
    "edgevoice.backoff": "Backoff",
    "edgevoice.commands": "Acknowledge Command Digest InvalidCommand LiveChunk Replay Say SetSetting Stop Submit",
    "edgevoice.config": "Settings load_settings settings_from",
    "edgevoice.daemon": "run_daemon",
    "edgevoice.errors": "AccountRefused ClipError ConfigError ConfigIssue EdgeVoiceError InvalidAnnouncement"
    " OutputError PluginError TooManyRequests TransportError",
    "edgevoice.http_client": "ConnectionCounter open_http_session",
    "edgevoice.logs": "redact register_secret setup_logging",
    "edgevoice.outcome": "Attempt Event EventType OUTCOMES Rejection SpeakerState",
    "edgevoice.paths": "state_dir",
    "edgevoice.plugin": "API_VERSION Clock Context NoOptions Observer Output Plugin Progress Registry Role Source"
    " SpeechOptions SpeechRequest SystemClock Transport WordMark hookimpl",
    "edgevoice.secrets": "read_secret_file secret_problem systemd_credential",
    "edgevoice.text.live": "LiveText",
    "edgevoice.text.sentences": "sentence_ends split_sentences",
    "edgevoice.text.checks": "check_text closest",
}
#: Names that are shorter in their module.
_SHORT_NAMES = {
    "open_http_session": "open_session",
    "run_daemon": "run",
    "setup_logging": "setup",
    "split_sentences": "split",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "__version__",
    "open_http_session",
    "run_daemon",
    "setup_logging",
    "split_sentences",
]
__all__ += [name for name in _MODULES if name not in __all__]


def __getattr__(name: str) -> Any:
    value: Any
    if name == "__version__":
        value = _installed_version()
    elif name in _MODULES:
        value = getattr(importlib.import_module(_MODULES[name]), _SHORT_NAMES.get(name, name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def _installed_version() -> str:
    """Return the version of the installed package, or "0" for a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - takes 20 ms

    try:
        return version("edgevoice")
    except PackageNotFoundError:
        return "0"
