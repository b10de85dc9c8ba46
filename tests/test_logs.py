"""Logging: destination, redaction, rate limit."""

import logging
import re
import socket
import subprocess
import sys

import pytest

from edgevoice import logs

KEY = "b7c1-my-own-key-9f"


@pytest.fixture
def hidden():
    logs.register_secret(KEY)
    yield
    logs._secrets.discard(KEY)


@pytest.fixture
def root():
    """The root logger, put back as it was."""
    root = logging.getLogger()
    level = root.level
    yield root
    for handler in [handler for handler in root.handlers if handler.get_name() == "edgevoice"]:
        root.removeHandler(handler)
    root.setLevel(level)
    logging.raiseExceptions = True


@pytest.fixture
def sent(root, monkeypatch, tmp_path):
    """Return the datagrams that go over the socket of the systemd journal."""
    fields = []
    monkeypatch.setattr(logs.journal, "sendv", lambda *args: fields.append(args))
    monkeypatch.setattr(logs, "JOURNALD_SOCKET", tmp_path / "socket")
    monkeypatch.setenv("INVOCATION_ID", "1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        logs.setup()
        yield fields


def said(script):
    """Return the standard error of a process."""
    program = f"import logging; from edgevoice import logs\n{script}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={})
    assert done.stdout == ""
    return done.stderr


def render(message, *args, **keywords):
    record = logging.LogRecord(
        "edgevoice.mqtt", logging.INFO, __file__, 1, message, args, keywords.get("exc_info")
    )
    return logs.RedactingFormatter("%(message)s").format(record)


def fail(text):
    raise ValueError(text)


def test_line_format():
    script = """
logs.setup()
log = logging.getLogger("edgevoice_plugins.mqtt.connection")
log.info("connected to %s", "broker")
log.warning("lost", extra={"ANNOUNCEMENT_ID": "a1"})
log.debug("this is not shown")
"""
    first, second = said(script).splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    connection: connected to broker", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING connection \[a1\]: lost", second)


def test_libraries_log_from_warning_on():
    script = """
logs.setup("debug")
logging.getLogger("edgevoice").debug("ours")
logging.getLogger("aiohttp.client").info("GET /")
logging.getLogger("paho").warning("theirs")
"""
    assert [line.split(": ")[1] for line in said(script).splitlines()] == ["ours", "theirs"]


def test_second_setup_replaces_first():
    script = (
        'logs.setup(); logs.setup("WARNING"); log = logging.getLogger("x"); log.info("no"); log.error("yes")'
    )
    assert said(script).count("\n") == 1


def test_unknown_level_is_an_error(root):
    with pytest.raises(ValueError, match="LOUD"):
        logs.setup("loud")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"the key is {KEY}.", "the key is ***."),
        ("{'Authorization': 'Bearer abc.def-123'}", "{'Authorization': 'Bearer ***'}"),
        ("authorization: bearer abc", "authorization: Bearer ***"),
        ("sk_0123456789abcdef was refused", "*** was refused"),
        ("mqtt://house:s3cret@broker:1883/x", "mqtt://***@broker:1883/x"),
        ("house:p@ss@broker is away", "***@broker is away"),
        ("12:30 kitchen: speaking, see me@example.org", "12:30 kitchen: speaking, see me@example.org"),
        ("the task_list of http://host:8080/v1", "the task_list of http://host:8080/v1"),
    ],
)
def test_redaction(hidden, text, shown):
    assert render("%s", text) == shown


def test_redaction_of_exception(hidden):
    try:
        fail(f"refused: {KEY}")
    except ValueError:
        shown = render("it failed", exc_info=sys.exc_info())
    assert "ValueError: refused: ***" in shown
    assert KEY not in shown


def test_redaction_of_unformattable_record(hidden):
    assert render("%d s", KEY) == "%d s (does not fit ('***',))"


def test_longer_secret_is_redacted_first(hidden):
    logs.register_secret(KEY + "-and-more")
    assert render(KEY + "-and-more") == "***"
    logs._secrets.discard(KEY + "-and-more")


@pytest.mark.parametrize("secret", ["", "on", "house"])
def test_short_secret_is_not_redacted(secret):
    logs.register_secret(secret)
    assert render("connection to the house is on") == "connection to the house is on"


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a:" * 10_000 + "@", "@" * 200_000, "bearer " * 30_000, "sk_" * 70_000]
)
def test_redaction_is_linear(text):
    assert logs.redact(text)


def test_journald_fields(sent):
    logging.getLogger("edgevoice.playback.speaker").warning("late: %d ms", 7, extra={"ANNOUNCEMENT_ID": "a1"})
    (fields,) = sent
    assert {"MESSAGE=late: 7 ms", "ANNOUNCEMENT_ID=a1", "PRIORITY=4", "SYSLOG_IDENTIFIER=edgevoice"} <= set(
        fields
    )
    assert "LOGGER=edgevoice.playback.speaker" in fields


def test_redaction_of_journald_fields(sent, hidden):
    try:
        fail(KEY)
    except ValueError:
        logging.getLogger("edgevoice").exception("failed with %s", KEY, extra={"ANNOUNCEMENT_ID": KEY})
    (fields,) = sent
    assert KEY not in repr(fields)
    assert any(field.startswith("MESSAGE=failed with ***\nTraceback") for field in fields)


def test_stderr_is_journald(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "JOURNALD_SOCKET", tmp_path / "socket")
    assert not logs.stderr_is_journald({"INVOCATION_ID": "1"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert logs.stderr_is_journald({"INVOCATION_ID": "1"})
        assert logs.stderr_is_journald({"JOURNAL_STREAM": "8:1"})
        assert not logs.stderr_is_journald({})
        monkeypatch.setattr(logs, "journal", None)
        assert not logs.stderr_is_journald({"INVOCATION_ID": "1"})


class Repeating:
    """A log with the filter under test and a clock that is set by hand."""

    def __init__(self):
        self.now = 0.0
        self.lines = []
        self.log = logging.getLogger("repeating")
        self.log.handlers.clear()
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        handler = logging.Handler()
        handler.addFilter(logs.RateLimitFilter(lambda: self.now))
        handler.setFormatter(logs.RedactingFormatter("%(message)s"))
        handler.emit = lambda record: self.lines.append(handler.format(record))
        self.log.addHandler(handler)


def test_repeated_warning_is_limited_and_counted():
    repeating = Repeating()
    for second in range(121):
        repeating.now = float(second)
        repeating.log.warning("%s refuses", "the broker")
    assert repeating.lines == [
        "the broker refuses",
        "the broker refuses (59 more like it suppressed)",
        "the broker refuses (59 more like it suppressed)",
    ]


def test_changing_warning_is_limited():
    repeating = Repeating()
    for second in range(3600):
        repeating.now = float(second)
        repeating.log.warning("the broker refuses: attempt %d", second)
    assert 60 <= len(repeating.lines) <= 100
    assert re.fullmatch(
        r"the broker refuses: attempt \d+ \(59 more like it suppressed\)", repeating.lines[-1]
    )


def test_different_arguments_are_logged():
    repeating = Repeating()
    for part in ("kitchen", "hall", "garden"):
        repeating.log.error("%s: no such card", part)
    assert repeating.lines == ["kitchen: no such card", "hall: no such card", "garden: no such card"]


def test_info_and_other_templates_are_not_limited():
    repeating = Repeating()
    for _ in range(2):
        repeating.log.info("said")
        repeating.log.warning("no broker")
        repeating.log.error("no card")
    assert repeating.lines == ["said", "no broker", "no card", "said"]


def test_remembered_templates_are_bounded():
    repeating = Repeating()
    for number in range(logs.MAX_TEMPLATES + 1):
        repeating.log.warning(f"kind {number}")  # noqa: G004 - each a template of its own
    repeating.log.warning("kind 0")
    repeating.log.warning(f"kind {logs.MAX_TEMPLATES}")  # noqa: G004
    assert repeating.lines[-2:] == [f"kind {logs.MAX_TEMPLATES}", "kind 0"]
