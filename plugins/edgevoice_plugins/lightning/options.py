"""The `lightning` section of the configuration, and the server that it describes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from edgevoice import (
    SpeechOptions,
    closest,
    read_secret_file,
    register_secret,
    secret_problem,
    systemd_credential,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from edgevoice import Context

VENDOR_URL = "https://api.smallest.ai"
API_KEY_VARIABLE = "SMALLEST_API_KEY"
#: Name of the systemd credential that holds the API key.
CREDENTIAL = "api_key"
#: Sample rates that Lightning speaks, in Hz (vendor's API reference).
SAMPLE_RATES_HZ = (8000, 16000, 24000, 44100)
#: Models that Lightning serves (vendor's API reference, 2026-08).
MODELS = ("lightning_v3.1", "lightning_v3.1_pro")
#: Models that answer 410 now, and what to use instead.
RETIRED_MODELS = {
    "lightning": "lightning_v3.1",
    "lightning_large": "lightning_v3.1",
    "lightning_v2": "lightning_v3.1",
    "lightning_v3": "lightning_v3.1",
}
OUTPUT_FORMATS = ("wav", "pcm")
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class LightningOptions(SpeechOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `lightning` section: the server, the account and the voice."""

    base_url: (
        Annotated[
            str,
            Meta(
                pattern=r"^https?://[^/?#\s]+/?\Z",
                description="the server's root, such as https://example.org",
            ),
        ]
        | None
    ) = None
    api_key_file: Path | None = None
    model: str = "lightning_v3.1"
    voice: Annotated[str, Meta(min_length=1, max_length=128)] = "magnus"
    output_format: str = "wav"
    pronunciation_dicts: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The server's root, without a slash at its end."""
        return (self.base_url or VENDOR_URL).rstrip("/")


def api_key(options: LightningOptions) -> str | None:
    """Return the API key, or None if there is none. It never appears in a log."""
    # systemd's credential first: the service's own user may not be able to read the named file.
    key = systemd_credential(CREDENTIAL) or read_secret_file(options.api_key_file)
    key = key or os.environ.get(API_KEY_VARIABLE, "").strip() or None
    if key:
        register_secret(key)
    return key


def option_issues(options: LightningOptions) -> list[tuple[str, str]]:
    """Return the issues that types and ranges cannot express, as pairs of key and sentence."""
    issues = []
    spelt = options.model.replace("-", "_")
    if spelt in RETIRED_MODELS:
        issues.append(("model", f"{options.model!r} is retired; use {RETIRED_MODELS[spelt]!r}"))
    elif options.model not in MODELS:
        issues.append(("model", f"unknown model {options.model!r}; {closest(options.model, MODELS)}"))
    if options.sample_rate not in SAMPLE_RATES_HZ:
        rates = ", ".join(map(str, SAMPLE_RATES_HZ))
        issues.append(("sample_rate", f"{options.sample_rate} is not one of {rates} (Hz)"))
    if options.output_format not in OUTPUT_FORMATS:
        issues.append(("output_format", f"must be {' or '.join(OUTPUT_FORMATS)}"))
    # Under systemd only root may read the file; then the credential is what is used.
    if options.api_key_file is not None and systemd_credential(CREDENTIAL) is None:
        problem = secret_problem(options.api_key_file, "API key")
        issues += [("api_key_file", problem)] if problem else []
    return issues


def option_warnings(options: LightningOptions) -> list[tuple[str, str]]:
    """Return a warning if the API key would cross a network unencrypted."""
    server = urlsplit(options.root)
    is_exposed = server.scheme == "http" and server.hostname not in LOOPBACK_HOSTS
    if is_exposed and api_key(options) is not None:
        return [("base_url", f"the API key is sent unencrypted to {server.netloc}; use https://")]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A Lightning server, and how to authenticate there; its text never shows the key."""

    #: The server's root URL, without a slash at its end.
    root: str
    headers: dict[str, str] = field(repr=False)
    http_session: Callable[[], aiohttp.ClientSession]


def endpoint(options: LightningOptions, context: Context) -> Endpoint:
    """Return the server that these options describe. Reads the API key."""
    key = api_key(options)
    return Endpoint(
        root=options.root,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        http_session=context.http_session,
    )
