"""What is broken now, by part: said once when it comes, once when it goes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


class Faults:
    """The faults of a node; `changed` is called when there is one more, one less, or another."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        self.on_change: Callable[[], None] = lambda: None

    def set(self, part: str, sentence: str | None) -> None:
        """Raise the fault of a part, or clear it."""
        if self._faults.get(part) == sentence:
            return
        if sentence is None:
            del self._faults[part]
            logger.info("%s: works again", part)
        else:
            self._faults[part] = sentence
            logger.warning("%s: %s", part, sentence)
        self.on_change()

    def of(self, speaker: str) -> str | None:
        """The faults a speaker shows: its own first, then those of the parts that all share."""
        own = self._faults.get(f"speaker {speaker}")
        shared = [f"{part}: {text}" for part, text in self._faults.items() if not part.startswith("speaker ")]
        return "; ".join(([own] if own else []) + shared) or None

    def fault_of(self, speaker: str) -> str | None:
        """The fault of a speaker's own output."""
        return self._faults.get(f"speaker {speaker}")
