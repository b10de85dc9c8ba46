"""The source `mqtt`: turns messages into commands, and publishes events, rejections and states."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Self

import msgspec

from edgevoice import Acknowledge, ConfigError, Observer, Say, Source
from edgevoice_plugins.mqtt.name_conflict import NameConflictDetector
from edgevoice_plugins.mqtt.options import THREAD_NAME, Mqtt, Timeouts, broker_of
from edgevoice_plugins.mqtt.outbox import Outbox, Outgoing
from edgevoice_plugins.mqtt.topics import ACKNOWLEDGE_ALL, Origin, command_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from types import TracebackType

    from edgevoice import Command, Context, Event, Rejection, SpeakerState, Submit
    from edgevoice_plugins.mqtt.topics import Message

#: The name under which the source is registered.
NAME = "mqtt"
_ALL = "all"
#: That many network threads that no longer respond are no accident of the network.
_MAX_HUNG_THREADS = 3
#: Messages remembered by the duplicate filter: more than any broker leaves unacknowledged, and only
#: unacknowledged messages are delivered again.
MAX_DELIVERIES = 1000
#: The outcome's reason of a repeating alert that was acknowledged.
_ACKNOWLEDGED = "acknowledged"
#: The payloads that mean "every alert"; anything else is an id.
_EVERY_ALERT = frozenset({"", "press", "single", "on"})
#: An acknowledgement is told once within this time.
_TOLD_FOR_S = 60.0
_MAX_TOLD = 1000
_MAX_ACTIVE = 5000
logger = logging.getLogger(__name__)


class MqttSource(Source, Observer):
    """Listens and publishes under the base topic. Without a host it does neither.

    Raises:
        ConfigError: a password or certificate file is missing or empty.
    """

    options = Mqtt

    @classmethod
    def validate_options(cls, options: Mqtt) -> list[tuple[str, str]]:
        try:
            broker_of(options)
        except ConfigError as error:
            return [(issue.path.removeprefix("mqtt."), issue.message) for issue in error.issues]
        return []

    def __init__(self, context: Context, options: Mqtt, timeouts: Timeouts | None = None) -> None:
        super().__init__(context, options)
        self._options = options
        self._timeouts = timeouts or Timeouts()
        self._broker = broker_of(options)
        # Without a broker nothing is ever delivered.
        self.durable = self._broker is not None
        self._outbox = Outbox()
        self._conflicts = NameConflictDetector(context, options.base_topic, self._outbox.put)
        self._duplicates = DuplicateFilter()
        self._ack_relay = AckRelay()
        #: The settings of each speaker as they were last published.
        self._settings: dict[str, dict[str, str]] = {}
        self._listening = asyncio.Event()
        self._submit: Submit = _ignore
        self._connecting: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._connecting = asyncio.create_task(self._connect(), name="mqtt")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After the end of `listen`: the events of components that stop meanwhile are published too.
        self._connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._connecting

    async def listen(self, submit: Submit) -> None:
        self._submit = submit
        self._listening.set()
        try:
            await asyncio.wait({self._connecting})
            self._connecting.result()
        finally:
            self._listening.clear()

    def stall_reason(self) -> str | None:
        hung = sum(thread.name == THREAD_NAME for thread in threading.enumerate()) - 1
        if hung >= _MAX_HUNG_THREADS:
            return f"{hung} network threads hang; only a restart of the process can help"
        return None

    def on_event(self, event: Event, origin: object) -> None:
        topic, payload = f"{event.speaker}/event", encode(event)
        if not event.event_type.is_outcome:
            self._publish(topic, payload)
            self._ack_relay.on_progress(event)
            return
        self._publish(topic, payload, delivered=partial(self.context.delivered, NAME, event))
        self._reply(origin, payload)
        if self._ack_relay.should_tell(event):
            self._publish(ACKNOWLEDGE_ALL, event.id.encode())

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._publish(f"{speaker}/state", encode(state), retain=True)
        settings = {
            "volume": str(state.volume),
            "mute": "ON" if state.mute else "OFF",
            "dnd": "ON" if state.dnd else "OFF",
        }
        known, self._settings[speaker] = self._settings.get(speaker, {}), settings
        for setting, value in settings.items():
            if known.get(setting) != value:
                self._publish(f"{speaker}/{setting}", value.encode(), retain=True)

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        payload = encode(rejection)
        self._publish(f"{rejection.node}/event", payload)
        self._reply(origin, payload)

    async def _connect(self) -> None:
        await self._listening.wait()
        if self._broker is None:
            logger.warning("no broker is configured, so nothing arrives over MQTT: set mqtt.host")
            await asyncio.Event().wait()
            return
        # Listing plugins and checking a configuration must not import paho.
        from edgevoice_plugins.mqtt.reconnect import ReconnectLoop  # noqa: PLC0415

        loop = ReconnectLoop(
            self.context,
            self._options,
            self._broker,
            outbox=self._outbox,
            conflicts=self._conflicts,
            on_message=self._receive,
            timeouts=self._timeouts,
        )
        await loop.run()

    def _receive(self, message: Message) -> None:
        """Submit the command of a message; give a message that is no command to the detector of name conflicts.

        While nothing listens the message is not acknowledged, so the broker keeps it. An announcement is
        acknowledged by the core once it is safe.
        """
        if not self._listening.is_set():
            return
        first = self._duplicates.first_delivery(message)
        if first is None:
            return
        command = command_of(self._options.base_topic, first)
        if isinstance(command, Acknowledge) and command.target == _ALL:
            self._ack_relay.on_acknowledge_all(command.payload)
        if command is None:
            self._conflicts.receive(first)
        else:
            self._submit(command)
        if not isinstance(command, Say):
            first.acknowledge()

    def _publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        delivered: Callable[[], None] | None = None,
    ) -> None:
        if self._broker is not None:
            topic = f"{self._options.base_topic}/{topic}"
            self._outbox.put(Outgoing(topic=topic, payload=payload, retain=retain, delivered=delivered))

    def _reply(self, origin: object, payload: bytes) -> None:
        if isinstance(origin, Origin):
            self._outbox.put(
                Outgoing(topic=origin.response_topic, payload=payload, correlation=origin.correlation)
            )


def _ignore(_command: Command) -> None:
    """Drop a command that arrives before `listen` was called."""


def encode(struct: msgspec.Struct) -> bytes:
    """Return the JSON of an event, a rejection or a state. Every key is present; unknown values are null."""
    values = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return json.dumps(values, default=_format_time, ensure_ascii=False, separators=(",", ":")).encode()


def _format_time(value: datetime) -> str:
    """Format a time as docs/guides/mqtt.md shows it (msgspec itself would write Z and microseconds)."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")


class _Delivery:
    """A message that was handed over. Its PUBACK goes to the latest delivery of it."""

    def __init__(self, acknowledge: Callable[[], None]) -> None:
        self._acknowledge = acknowledge
        self._is_safe = False

    def safe(self) -> None:
        self._is_safe = True
        self._acknowledge()

    def redelivered(self, acknowledge: Callable[[], None]) -> None:
        self._acknowledge = acknowledge
        if self._is_safe:
            acknowledge()


class DuplicateFilter:
    """Drops messages that the broker delivers again (DUP).

    The key is session, packet id, topic and payload, because a new message may reuse an old packet id.
    """

    def __init__(self) -> None:
        self._deliveries: OrderedDict[Hashable, _Delivery] = OrderedDict()

    def first_delivery(self, message: Message) -> Message | None:
        """Return the message to handle, or None if it was handed over before."""
        if message.delivery is None:
            return message
        key = (message.delivery, message.topic, hash(message.payload))
        if message.redelivered and (known := self._deliveries.get(key)) is not None:
            known.redelivered(message.acknowledge)
            return None
        delivery = self._deliveries[key] = _Delivery(message.acknowledge)
        self._deliveries.move_to_end(key)
        if len(self._deliveries) > MAX_DELIVERIES:
            self._deliveries.popitem(last=False)
        return replace(message, acknowledge=delivery.safe)


class AckRelay:
    """Publishes an acknowledgement once, and never an acknowledgement that itself came by `all/ack`.

    `all/ack` with an id names the alert. Without one it acknowledges every alert, so the relay remembers
    which announcements are under way.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: When each alert was last told, by its id; the oldest are forgotten.
        self._told: dict[str, float] = {}
        #: Speaker and id of the announcements without an outcome; the oldest are forgotten.
        self._active: dict[tuple[str, str], None] = {}

    def on_acknowledge_all(self, payload: bytes) -> None:
        """Note an acknowledgement that came by `all/ack`, so that every node knows of it already."""
        word = payload.decode(errors="replace").strip()
        names = [name for _, name in self._active] if word.lower() in _EVERY_ALERT else [word]
        for name in names:
            self._tell(name)

    def on_progress(self, event: Event) -> None:
        """Note that an announcement is under way."""
        self._active[event.speaker, event.id] = None
        if len(self._active) > _MAX_ACTIVE:
            del self._active[next(iter(self._active))]

    def should_tell(self, outcome: Event) -> bool:
        """Take an outcome; return whether to tell the other nodes that its announcement was acknowledged."""
        self._active.pop((outcome.speaker, outcome.id), None)
        return outcome.reason == _ACKNOWLEDGED and self._tell(outcome.id)

    def _tell(self, name: str) -> bool:
        """Note that an alert is told; return whether it was not told for `_TOLD_FOR_S`."""
        now = self._clock()
        is_new = now - self._told.pop(name, -math.inf) >= _TOLD_FOR_S
        self._told[name] = now
        if len(self._told) > _MAX_TOLD:
            del self._told[next(iter(self._told))]
        return is_new
