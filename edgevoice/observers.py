"""Tell all observers what happens. Each call is guarded: an observer that raises does not affect the others."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgevoice.outcome import Event, Rejection, SpeakerState
    from edgevoice.plugin import Observer

logger = logging.getLogger(__name__)


class Observers:
    """All observers of this node, by name."""

    def __init__(self, observers: Mapping[str, Observer]) -> None:
        self._observers = observers

    @property
    def durable(self) -> tuple[str, ...]:
        """Names of the observers that must deliver the outcomes of high and critical announcements."""
        return tuple(name for name, observer in self._observers.items() if observer.durable)

    def redeliver(self, name: str, event: Event) -> bool:
        """Tell an observer an outcome that it has not delivered. Returns whether it still exists and is durable."""
        if name not in self.durable:
            return False
        self._tell_one(name, lambda observer: observer.on_event(event, None))
        return True

    def on_event(self, event: Event, origin: object) -> None:
        self._tell(lambda observer: observer.on_event(event, origin))

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._tell(lambda observer: observer.on_state(speaker, state))

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        self._tell(lambda observer: observer.on_rejected(rejection, origin))

    def _tell(self, what: Callable[[Observer], None]) -> None:
        for name in self._observers:
            self._tell_one(name, what)

    def _tell_one(self, name: str, what: Callable[[Observer], None]) -> None:
        try:
            what(self._observers[name])
        except (Exception, SystemExit):
            logger.exception("observer %s failed; the others run on", name)
