"""The `mqtt` section of the configuration, and the broker it describes."""

from __future__ import annotations

import hashlib
import ssl
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgevoice import ConfigError, ConfigIssue, register_secret, systemd_credential

#: Name of the systemd credential that holds the password.
CREDENTIAL = "mqtt_password"
#: Name of every network thread.
THREAD_NAME = "edgevoice-mqtt"
PORT = 1883
TLS_PORT = 8883
_VERSIONS = {"auto": ("5", "3.1.1"), "5": ("5",), "3.1.1": ("3.1.1",)}
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Certificate authority to trust instead of those of the system."""

    ca_file: Annotated[str, Meta(min_length=1)]


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `mqtt` section. Without a `host` the source does nothing. An unquoted `version: 5` is a number."""

    host: Annotated[str, Meta(pattern=r"^\S{1,253}$")] | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    version: Literal["auto", "5", "3.1.1", 5] = "auto"
    username: Annotated[str, Meta(min_length=1)] | None = None
    password_file: Annotated[str, Meta(min_length=1)] | None = None
    tls: bool | Tls = False
    base_topic: Annotated[str, Meta(pattern=r"^[^+#/$\x00][^+#\x00]{0,126}[^+#/\x00]$|^[^+#/$\x00]$")] = (
        "edgevoice"
    )
    client_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    session_expiry: Annotated[int, Meta(ge=0, le=604800)] = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Address of the broker, and the login. The password is not part of its repr."""

    host: str
    port: int
    versions: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def user(self) -> str:
        """The client as a message to the user names it."""
        return f"user {self.username!r}" if self.username else "a client without a user name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits of the source. The defaults are right for production; tests shorten them."""

    #: Name resolution, TCP and TLS.
    open_s: float = 30.0
    #: The broker's answer to CONNECT, SUBSCRIBE and DISCONNECT.
    reply_s: float = 5.0
    #: A network thread without progress for this long hangs: twice the keepalive, and a margin.
    thread_progress_s: float = 45.0
    #: A message that was not stored within this time is acknowledged anyway.
    acknowledge_s: float = 30.0
    #: First and longest pause between two connection attempts.
    retry_first_s: float = 1.0
    retry_max_s: float = 30.0
    #: A connection that lasts this long is a good one; two clients with one client id never get so far.
    stable_s: float = 30.0
    #: The last events and `offline`, when the daemon stops.
    farewell_s: float = 2.0


def broker_of(options: Mqtt) -> Broker | None:
    """Return the broker of these options, None if no host is configured.

    Raises:
        ConfigError: a named file is missing or empty, or there is a password but no user name.
    """
    issues: list[ConfigIssue] = []
    password = _password(options, issues)
    ca_file = _ca_file(options, issues)
    if issues:
        raise ConfigError(issues)
    if options.host is None:
        return None
    if password:
        register_secret(password)
    tls = options.tls is not False
    return Broker(
        host=options.host,
        port=options.port or (TLS_PORT if tls else PORT),
        versions=_VERSIONS[str(options.version)],
        username=options.username,
        password=password,
        tls=tls,
        ca_file=ca_file,
    )


def client_id_of(options: Mqtt, node: str) -> str:
    """Return the configured client id, else an id that is unique to this machine and stable over restarts."""
    if options.client_id is not None:
        return options.client_id
    machine = next((found for path in _MACHINE_IDS if (found := _content(path))), None) or str(uuid.getnode())
    # The machine id itself is confidential (machine-id(5)), so only a hash of it goes over the network.
    return f"edgevoice-{node}-{hashlib.sha256(f'edgevoice mqtt {machine}'.encode()).hexdigest()[:12]}"


def _password(options: Mqtt, issues: list[ConfigIssue]) -> str | None:
    if options.password_file is not None:
        password = _content(options.password_file)
        if not password:
            state = "is missing or cannot be read" if password is None else "is empty"
            issues.append(ConfigIssue("mqtt.password_file", f"{options.password_file} {state}"))
        if options.username is None:
            issues.append(ConfigIssue("mqtt.username", "a password needs a user name as well"))
        return password
    return systemd_credential(CREDENTIAL) if options.username else None


def _ca_file(options: Mqtt, issues: list[ConfigIssue]) -> Path | None:
    if not isinstance(options.tls, Tls):
        return None
    path = Path(options.tls.ca_file).expanduser()
    try:
        ssl.create_default_context(cafile=str(path))
    except OSError as error:
        problem = (
            "holds no certificate"
            if isinstance(error, ssl.SSLError)
            else f"cannot be read ({error.strerror})"
        )
        issues.append(ConfigIssue("mqtt.tls.ca_file", f"{path} {problem}"))
    return path


def _content(path: str) -> str | None:
    """Return the text of a file without a BOM and the newline at its end; None if it cannot be read."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        return None
