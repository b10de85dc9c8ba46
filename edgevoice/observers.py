"""Tells all observers what happens, one by one, each guarded: one that raises starves nobody."""

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

    def on_event(self, event: Event, origin: object) -> None:
        self._tell(lambda observer: observer.on_event(event, origin))

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._tell(lambda observer: observer.on_state(speaker, state))

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        self._tell(lambda observer: observer.on_rejected(rejection, origin))

    def _tell(self, what: Callable[[Observer], None]) -> None:
        for name, observer in self._observers.items():
            try:
                what(observer)
            except (Exception, SystemExit):
                logger.exception("observer %s failed; the others go on", name)
