"""Which node has which speakers: a name that two nodes claim is a fault on both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.topics import Filter

if TYPE_CHECKING:
    from edgevoice.plugin import Context
    from edgevoice_plugins.mqtt.topics import Message

_SPEAKERS, _AVAILABILITY = "speakers", "availability"


class Claims:
    """Tells the names of this node's speakers, and watches what other nodes tell while they are online."""

    def __init__(self, context: Context, base: str) -> None:
        self._context = context
        self._base = base
        self._claims: dict[str, list[str]] = {}
        self._online: set[str] = set()
        self._faults: set[str] = set()
        self.filters = [Filter(f"{base}/+/{what}", kept=True) for what in (_SPEAKERS, _AVAILABILITY)]
        self.own = Outgoing(
            topic=f"{base}/{context.node}/{_SPEAKERS}",
            payload=msgspec.json.encode(context.speakers),
            retain=True,
        )

    def watches(self, topic: str) -> bool:
        """Whether this is one of its filters: a broker may refuse them, and all else goes on."""
        return any(asked.topic == topic for asked in self.filters)

    def forget(self) -> None:
        """Know nothing of the others, as at the beginning of a connection."""
        self._claims.clear()
        self._online.clear()
        self._judge()

    def take(self, message: Message) -> bool:
        """Whether this message was about nodes and their speakers."""
        node, _, what = message.topic.removeprefix(f"{self._base}/").partition("/")
        if what == _AVAILABILITY:
            (self._online.add if message.payload == b"online" else self._online.discard)(node)
        elif what == _SPEAKERS:
            self._claims[node] = _names(message.payload)
        else:
            return False
        self._judge()
        return True

    def _judge(self) -> None:
        others = sorted(self._online - {self._context.node})
        for speaker in self._context.speakers:
            rivals = [node for node in others if speaker in self._claims.get(node, ())]
            part = f"name of {speaker}"
            if rivals:
                self._faults.add(part)
                self._context.fault(part, self._sentence(speaker, rivals))
            elif part in self._faults:
                self._faults.discard(part)
                self._context.fault(part, None)

    def _sentence(self, speaker: str, rivals: list[str]) -> str:
        return (
            f"speaker {speaker} of node {self._context.node} is also claimed by node {', '.join(rivals)}; "
            "give it another name on one of them"
        )


def _names(payload: bytes) -> list[str]:
    try:
        return msgspec.json.decode(payload, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
