"""Where the daemon's own log goes: the journal under systemd, else standard error; never a secret, never a flood.

Loggers are named after modules (`logging.getLogger(__name__)`). What concerns one announcement is logged
with `extra={"ANNOUNCEMENT_ID": id}`: a field in the journal, in brackets elsewhere.
"""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

try:
    from systemd import journal
except ImportError:
    journal = None

JOURNALD_SOCKET = Path("/run/systemd/journal/socket")
REPEAT_AFTER_S = 60.0
"""Seconds for which a warning is not shown again."""
BURST = 10.0
"""How many warnings of one message template may follow each other."""
MAX_TEMPLATES = 500
"""How many message templates are remembered."""

_NAME = "edgevoice"
_CHATTY = ("aiohttp", "amqtt", "asyncio", "paho", "transitions")
"""Libraries whose lines below a warning say nothing to a user, and may show what they were sent."""

# Lengths are bounded, so that no text makes the search slow.
_SECRET_SHAPES = (
    (re.compile(r"(?i)\bbearer\s+[^\s'\",]+"), "Bearer ***"),
    (re.compile(r"\bsk_[\w-]{4,}"), "***"),
    (re.compile(r"[^\s:/@'\"]{1,64}:(?!//)\S{1,256}@(?=\S)"), "***@"),
)
_secrets: set[str] = set()


def register_secret(secret: str) -> None:
    """Never show this value from now on, wherever it turns up in a line."""
    if secret:
        _secrets.add(secret)


def redact(text: str) -> str:
    """The text with `***` for what `hide` was told, keys, bearer tokens and passwords in addresses."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    for shape, instead in _SECRET_SHAPES:
        text = shape.sub(instead, text)
    return text


@dataclass(slots=True)
class _TemplateBudget:
    """The warnings of one message template: what was shown lately, and how many more may be shown."""

    at: float
    allowance: float
    shown: dict[int, float] = field(default_factory=dict)
    suppressed: int = 0

    def allow(self, text: int, now: float) -> bool:
        self.allowance = min(BURST, self.allowance + (now - self.at) / REPEAT_AFTER_S)
        self.at = now
        self.shown = {one: at for one, at in self.shown.items() if now - at < REPEAT_AFTER_S}
        if text in self.shown or self.allowance < 1:
            self.suppressed += 1
            return False
        self.allowance -= 1
        self.shown[text] = now
        return True


class RateLimitFilter(logging.Filter):
    """Lets the same warning or error through once a minute, and counts what it keeps back.

    Of one message template with ever other arguments (a number of attempts, a port), `BURST` are let
    through and then one a minute: no steady fault makes more than 100 lines an hour.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, int, str], _TemplateBudget] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        template = (record.name, record.levelno, str(record.msg))
        kind = self._kinds.pop(template, None) or _TemplateBudget(now, BURST)
        self._kinds[template] = kind
        if len(self._kinds) > MAX_TEMPLATES:
            del self._kinds[next(iter(self._kinds))]
        if not kind.allow(hash(str(record.args)), now):
            return False
        record.kept_back, kind.suppressed = kind.suppressed, 0
        return True


class RedactingFormatter(logging.Formatter):
    """One line for a message, with how many of its kind were kept back, and without secrets."""

    def __init__(self, style: str) -> None:
        super().__init__(style, datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.part = record.name.rpartition(".")[2]
        announcement = getattr(record, "ANNOUNCEMENT_ID", None)
        record.about = f" [{announcement}]" if announcement else ""
        try:
            text = super().format(record)
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg} (does not fit {record.args})"
        return redact(text)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = super().formatMessage(record)
        kept_back = getattr(record, "kept_back", 0)
        return f"{line} (and {kept_back} more like it)" if kept_back else line


def stderr_is_journald(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd started this process, and its journal can be written to.

    Without a journal behind it, systemd-python loses messages silently.
    """
    under_systemd = "JOURNAL_STREAM" in environ or "INVOCATION_ID" in environ
    return journal is not None and under_systemd and JOURNALD_SOCKET.is_socket()


def send_to_journald(message: str, /, **fields: object) -> None:
    """Send to the journal what it keeps; the arguments are in the message, and may hold a secret."""
    kept = {
        name: redact(value) if isinstance(value, str) else value
        for name, value in fields.items()
        if name.isupper() and name not in {"CODE_ARGS", "EXCEPTION_INFO", "EXCEPTION_TEXT"}
    }
    journal.send(message, **kept)


def _destination() -> logging.Handler:
    if stderr_is_journald():
        handler: logging.Handler = journal.JournalHandler(
            sender_function=send_to_journald, SYSLOG_IDENTIFIER=_NAME
        )
        handler.setFormatter(RedactingFormatter("%(message)s"))
        return handler
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)-7s %(part)s%(about)s: %(message)s"))
    return handler


def setup(level: str = "INFO") -> None:
    """Log from this level on, once for the whole process; called again, it takes the place of the former."""
    handler = _destination()
    handler.set_name(_NAME)
    handler.addFilter(RateLimitFilter())
    root = logging.getLogger()
    for former in [one for one in root.handlers if one.get_name() == _NAME]:
        root.removeHandler(former)
        former.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # else a line that cannot be written is printed with all its arguments
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
