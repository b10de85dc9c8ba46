"""The pages of the documentation, and the fenced blocks in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PLUGINS = ROOT / "plugins" / "README.md"
MQTT_GUIDE = ROOT / "docs" / "guides" / "mqtt.md"
URGENCY_GUIDE = ROOT / "docs" / "guides" / "urgency.md"
HOME_ASSISTANT_GUIDE = ROOT / "docs" / "guides" / "home-assistant.md"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r'^"""(\w+)\.py: ')


def pages() -> list[Path]:
    """Every page of the project."""
    nested = (
        page for folder in ("docs", "plugins", "systemd", "bench") for page in (ROOT / folder).rglob("*.md")
    )
    return sorted([*ROOT.glob("*.md"), *nested])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def shell_lines() -> Iterator[tuple[Path, list[str]]]:
    """Each line of a shell that a page shows, and its page."""
    for page in pages():
        for line in "".join(blocks(page, "sh")).splitlines():
            yield page, shlex.split(line, comments=True)


def modules(page: Path) -> dict[str, str]:
    """The Python blocks of a page by the name that the first line of each gives it."""
    named = {}
    for text in blocks(page, "python"):
        name = _FILE_NAME.match(text)
        assert name, f"{page}: a Python block says no file name: {text[:60]}"
        named[name[1]] = text
    return named


def without_fences(page: Path) -> str:
    return _FENCE.sub("", page.read_text())
