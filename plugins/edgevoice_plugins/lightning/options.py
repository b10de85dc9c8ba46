"""Interim: replaced by the options of the `lightning` section."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A Lightning server, and how to authenticate there; its text never shows the key."""

    root: str
    headers: dict[str, str] = field(repr=False)
    http_session: Callable[[], aiohttp.ClientSession]
