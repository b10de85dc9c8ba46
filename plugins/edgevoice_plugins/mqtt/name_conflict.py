"""Detects that another node claims the name of one of this node's speakers.

Every node publishes a retained `<base>/<speaker>/info` for each of its speakers, and subscribes to that
topic of its own speakers only. An `info` that names another node is a rival claim; it counts while the
rival's `availability` is `online`, which the node subscribes to once it has seen the rival. The cost of a
message does not depend on how many nodes there are, and at most `MAX_RIVALS` rivals are remembered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from edgevoice import __version__
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.topics import Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgevoice import Context
    from edgevoice_plugins.mqtt.topics import Message

#: Rival nodes that are remembered; further ones are ignored.
MAX_RIVALS = 16
#: A larger `info` is ignored.
MAX_INFO_BYTES = 4096
_NODE_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_INFO, _AVAILABILITY = "info", "availability"


class _Claim(msgspec.Struct):
    """The part of an `info` that is read; other keys are ignored."""

    node: str


class _Rival:
    """Another node that claimed speakers of ours, and whether it is online."""

    def __init__(self) -> None:
        self.speakers: set[str] = set()
        self.is_online = False


class NameConflictDetector:
    """Publishes this node's claims through `publish`, and reports a fault for each speaker with a rival."""

    def __init__(self, context: Context, base: str, publish: Callable[[Outgoing], None]) -> None:
        self._context = context
        self._base = base
        self._publish = publish
        self._subscribe: Callable[[Filter], None]
        self._rivals: dict[str, _Rival] = {}
        self._faulty: set[str] = set()
        self.filters = [
            Filter(f"{base}/{speaker}/{_INFO}", wants_retained=True) for speaker in context.speakers
        ]

    def watches(self, topic: str) -> bool:
        """Whether the topic is one of `filters`. A broker may refuse these without harm."""
        return any(asked.topic == topic for asked in self.filters)

    def announce(self) -> None:
        """Claim the speakers of this node."""
        for speaker in self._context.speakers:
            self._claim(speaker)

    def connected(self, subscribe: Callable[[Filter], None]) -> None:
        """Forget the other nodes. `subscribe` gets the `availability` of each rival that is seen from now on."""
        self._subscribe = subscribe
        rivals, self._rivals = self._rivals, {}
        for rival in rivals.values():
            self._update(rival.speakers)

    def receive(self, message: Message) -> None:
        """Handle a message about a node or its speakers; ignore any other."""
        name, _, kind = message.topic.removeprefix(f"{self._base}/").partition("/")
        if kind == _INFO:
            self._on_info(name, message.payload)
        elif kind == _AVAILABILITY:
            self._on_availability(name, is_online=message.payload == b"online")

    def _on_info(self, speaker: str, payload: bytes) -> None:
        node = _claiming_node(payload)
        if node is None or node == self._context.node or speaker not in self._context.speakers:
            return
        rival = self._rivals.get(node)
        if rival is None:
            if len(self._rivals) >= MAX_RIVALS:
                return
            rival = self._rivals[node] = _Rival()
            self._subscribe(Filter(f"{self._base}/{node}/{_AVAILABILITY}", wants_retained=True))
        rival.speakers.add(speaker)
        self._update([speaker])

    def _on_availability(self, node: str, *, is_online: bool) -> None:
        rival = self._rivals.get(node)
        if rival is None:
            return
        rival.is_online = is_online
        speakers = list(rival.speakers)
        if not is_online:
            # If it returns it claims its speakers again. Until then the retained `info` is ours.
            rival.speakers.clear()
            for speaker in speakers:
                self._claim(speaker)
        self._update(speakers)

    def _update(self, speakers: Iterable[str]) -> None:
        """Raise or clear the fault of each of these speakers."""
        for speaker in speakers:
            rivals = sorted(
                node for node, rival in self._rivals.items() if rival.is_online and speaker in rival.speakers
            )
            part = f"name of {speaker}"
            if rivals:
                self._faulty.add(speaker)
                claim = f"speaker {speaker} of node {self._context.node} is also claimed by node"
                self._context.fault(part, f"{claim} {', '.join(rivals)}; rename it on one of them")
            elif speaker in self._faulty:
                self._faulty.discard(speaker)
                self._context.fault(part, None)

    def _claim(self, speaker: str) -> None:
        """Publish the `info` of a speaker; what is unknown is null."""
        info = {
            "node": self._context.node,
            "groups": self._context.groups.get(speaker, ()),
            "version": __version__,
            "clock_ms": None,
            "latency_ms": None,
        }
        topic = f"{self._base}/{speaker}/{_INFO}"
        self._publish(Outgoing(topic=topic, payload=msgspec.json.encode(info), retain=True))


def _claiming_node(payload: bytes) -> str | None:
    """Return the node that an `info` names, None if it is invalid."""
    if len(payload) > MAX_INFO_BYTES:
        return None
    try:
        node = msgspec.json.decode(payload, type=_Claim).node
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return node if _NODE_NAME.fullmatch(node) else None
