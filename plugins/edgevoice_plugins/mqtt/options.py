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

from edgevoice import logs
from edgevoice.errors import ConfigError, ConfigIssue
from edgevoice.secrets import systemd_credential

CREDENTIAL = "mqtt_password"
"""The name of the systemd credential that holds the password."""
THREAD = "edgevoice-mqtt"
"""The name of every network thread."""
PORT = 1883
TLS_PORT = 8883
_VERSIONS = {"auto": ("5", "3.1.1"), "5": ("5",), "3.1.1": ("3.1.1",)}
_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose certificates to trust, where it is not those of the system."""

    ca_file: Annotated[str, Meta(min_length=1)]


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `mqtt` section; without a `host` nothing is listened to. An unquoted `version: 5` is a number."""

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
    """Where the broker is, and how to log in; its text never shows the password."""

    host: str
    port: int
    versions: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def user(self) -> str:
        """How a sentence names who logs in."""
        return f"user {self.username!r}" if self.username else "a client without a user name"


def broker_of(options: Mqtt) -> Broker | None:
    """The broker of these options, None where no host is configured.

    Raises:
        ConfigError: a file that is named is missing or empty, or a password has no user.
    """
    mistakes: list[ConfigIssue] = []
    password = _password(options, mistakes)
    ca_file = _ca_file(options, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    if options.host is None:
        return None
    if password:
        logs.register_secret(password)
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
    """The configured client id, else one that no other machine has and that outlives a restart."""
    if options.client_id is not None:
        return options.client_id
    machine = next((found for path in _MACHINE_IDS if (found := _content(path))), None) or str(uuid.getnode())
    # The machine id itself is confidential (machine-id(5)), so only a hash of it goes over the network.
    return f"edgevoice-{node}-{hashlib.sha256(f'edgevoice mqtt {machine}'.encode()).hexdigest()[:12]}"


def _password(options: Mqtt, mistakes: list[ConfigIssue]) -> str | None:
    if options.password_file is not None:
        password = _content(options.password_file)
        if not password:
            state = "is missing or cannot be read" if password is None else "is empty"
            mistakes.append(ConfigIssue("mqtt.password_file", f"{options.password_file} {state}"))
        if options.username is None:
            mistakes.append(ConfigIssue("mqtt.username", "a password needs a user name as well"))
        return password
    return systemd_credential(CREDENTIAL) if options.username else None


def _ca_file(options: Mqtt, mistakes: list[ConfigIssue]) -> Path | None:
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
        mistakes.append(ConfigIssue("mqtt.tls.ca_file", f"{path} {problem}"))
    return path


def _content(path: str) -> str | None:
    """What the file says, without a newline at its end; None if it cannot be read."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        return None
