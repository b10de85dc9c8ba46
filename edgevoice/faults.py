"""The current faults of a node, by component; each is logged once when it comes and once when it goes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_SPEAKER = "speaker "


class Faults:
    """The current faults of a node. Subscribers are called after each change."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a fault is raised, cleared or gets another sentence."""
        self._subscribers.append(on_change)

    def set(self, part: str, sentence: str | None) -> None:
        """Raise the fault of a component, or clear it with None."""
        if self._faults.get(part) == sentence:
            return
        if sentence is None:
            del self._faults[part]
            logger.info("%s: works again", part)
        else:
            self._faults[part] = sentence
            logger.warning("%s: %s", part, sentence)
        for on_change in self._subscribers:
            on_change()

    def of(self, speaker: str) -> str | None:
        """Return the faults that concern a speaker: its output's first, then those of shared components."""
        own = self.of_output(speaker)
        shared = [f"{part}: {text}" for part, text in self._faults.items() if not part.startswith(_SPEAKER)]
        return "; ".join(([own] if own else []) + shared) or None

    def of_output(self, speaker: str) -> str | None:
        """Return the fault of a speaker's output."""
        return self._faults.get(_SPEAKER + speaker)
