"""Logging to journald under systemd, else to stderr, with secrets redacted and repeated warnings limited.

Loggers are named after modules (`logging.getLogger(__name__)`). A line about one announcement is logged
with `extra={"ANNOUNCEMENT_ID": id}`: a field in journald, in brackets elsewhere.
"""

from __future__ import annotations

import logging
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.token_bucket import Rate, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

try:
    from systemd import journal
except ImportError:
    journal = None

JOURNALD_SOCKET = Path("/run/systemd/journal/socket")
#: The same warning is logged again after this.
REPEAT_AFTER_S = 60.0
#: Warnings of one message template, with other arguments each, that are logged.
RATE = Rate(per_minute=1, burst=10)
MAX_TEMPLATES = 500
#: Shorter secrets are not redacted: they are parts of too many words, and the gaps would give them away.
MIN_SECRET_CHARS = 6

_NAME = "edgevoice"
#: Libraries logged from WARNING on: the rest is of no use to a user, and may contain what they were sent.
_VERBOSE_LIBRARIES = ("aiohttp", "amqtt", "asyncio", "paho", "transitions")

# Lengths are bounded, so that no text makes a search slow.
_SECRET_SHAPES = (
    (re.compile(r"(?i)\bbearer\s+[^\s'\",]+"), "Bearer ***"),
    (re.compile(r"\bsk_[\w-]{4,}"), "***"),
    (re.compile(r"[^\s:/@'\"]{1,64}:(?!//)\S{1,256}@(?=\S)"), "***@"),
)
_secrets: set[str] = set()


def register_secret(secret: str) -> None:
    """Redact this value in every line from now on, if it has at least `MIN_SECRET_CHARS` characters."""
    if len(secret) >= MIN_SECRET_CHARS:
        _secrets.add(secret)


def redact(text: str) -> str:
    """Replace registered secrets, API keys, bearer tokens and passwords in URLs by `***`."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    for shape, instead in _SECRET_SHAPES:
        text = shape.sub(instead, text)
    return text


class _TemplateBudget:
    """Rate limit of one message template. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._tokens = TokenBucket(RATE, now)
        #: When each text (its hash) was logged lately.
        self._logged_at: dict[int, float] = {}
        self.suppressed = 0

    def allow(self, text: int, now: float) -> bool:
        self._logged_at = {text: at for text, at in self._logged_at.items() if now - at < REPEAT_AFTER_S}
        if text in self._logged_at or not self._tokens.can_take(now):
            self.suppressed += 1
            return False
        self._tokens.take(now)
        self._logged_at[text] = now
        return True


class RateLimitFilter(logging.Filter):
    """Passes the same warning or error once a minute and counts those suppressed in between.

    A message template whose arguments differ each time (a number of attempts, a port) passes 10 times,
    then once a minute: a lasting fault logs at most 100 lines an hour.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._budgets: dict[tuple[str, int, str], _TemplateBudget] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        template = (record.name, record.levelno, str(record.msg))
        budget = self._budgets.pop(template, None) or _TemplateBudget(now)
        self._budgets[template] = budget
        if len(self._budgets) > MAX_TEMPLATES:
            del self._budgets[next(iter(self._budgets))]
        if not budget.allow(hash(str(record.args)), now):
            return False
        record.suppressed, budget.suppressed = budget.suppressed, 0
        return True


class RedactingFormatter(logging.Formatter):
    """Formats a line with the number of suppressed repeats, and redacts it."""

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
        suppressed = getattr(record, "suppressed", 0)
        return f"{line} ({suppressed} more like it suppressed)" if suppressed else line


def stderr_is_journald(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether systemd started this process and journald can be reached.

    Without journald, systemd-python would lose messages silently.
    """
    under_systemd = "JOURNAL_STREAM" in environ or "INVOCATION_ID" in environ
    return journal is not None and under_systemd and JOURNALD_SOCKET.is_socket()


def send_to_journald(message: str, /, **fields: object) -> None:
    """Send a message and its fields, without those that hold unformatted arguments: they may be secret."""
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
    """Set up logging for the whole process, in place of an earlier set-up."""
    handler = _destination()
    handler.set_name(_NAME)
    handler.addFilter(RateLimitFilter())
    root = logging.getLogger()
    for former in [known for known in root.handlers if known.get_name() == _NAME]:
        root.removeHandler(former)
        former.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # a line that cannot be written would be printed with all its arguments
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
