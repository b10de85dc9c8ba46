"""Decides which acknowledgements to tell the other nodes about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice_plugins.mqtt.dedup import TtlSet

if TYPE_CHECKING:
    from edgevoice import Event

#: The outcome's reason of a repeating alert that was acknowledged.
_ACKNOWLEDGED = "acknowledged"
#: The payloads that mean "every alert"; anything else is an id.
_EVERY_ALERT = frozenset({"", "press", "single", "on"})
#: An acknowledgement is told once within this time.
_TOLD_FOR_S = 60.0
_MAX_ACTIVE = 5000


class AckRelay:
    """Publishes an acknowledgement once, and never an acknowledgement that itself came by `all/ack` (contract).

    `all/ack` with an id names the alert. Without one it acknowledges every alert, so the relay remembers
    which announcements are under way.
    """

    def __init__(self) -> None:
        self._told = TtlSet(_TOLD_FOR_S)
        #: Speaker and id of the announcements without an outcome; the oldest are forgotten.
        self._active: dict[tuple[str, str], None] = {}

    def on_acknowledge_all(self, payload: bytes) -> None:
        """Note an acknowledgement that came by `all/ack`, so that every node knows of it already."""
        word = payload.decode(errors="replace").strip()
        if word.lower() not in _EVERY_ALERT:
            self._told.add(word)
            return
        for _, name in self._active:
            self._told.add(name)

    def should_tell(self, event: Event) -> bool:
        """Take an event; return whether to tell the other nodes that its announcement was acknowledged."""
        key = (event.speaker, event.id)
        if not event.event_type.is_outcome:
            self._active[key] = None
            if len(self._active) > _MAX_ACTIVE:
                del self._active[next(iter(self._active))]
            return False
        self._active.pop(key, None)
        return event.reason == _ACKNOWLEDGED and self._told.add(event.id)
