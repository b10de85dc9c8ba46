"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def closest(word: str, allowed: Collection[str]) -> str:
    """Return a hint: the closest allowed word, else the list of them."""
    if not allowed:
        return "there are none"
    close = difflib.get_close_matches(word, [str(name) for name in allowed], 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(allowed))}"
