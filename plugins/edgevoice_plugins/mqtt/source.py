"""The source `mqtt`: turns messages into commands, and publishes events, rejections and states."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Self

from edgevoice import Acknowledge, ConfigError, Observer, Say, Source
from edgevoice_plugins.mqtt.ack_relay import AckRelay
from edgevoice_plugins.mqtt.dedup import DuplicateFilter
from edgevoice_plugins.mqtt.options import THREAD_NAME, Mqtt, Timeouts, broker_of
from edgevoice_plugins.mqtt.outbox import Outbox, Outgoing
from edgevoice_plugins.mqtt.payload import encode
from edgevoice_plugins.mqtt.topics import ACKNOWLEDGE_ALL, Origin, command_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edgevoice import Command, Context, Event, Rejection, SpeakerState, Submit
    from edgevoice_plugins.mqtt.topics import Message

#: The name under which the source is registered.
NAME = "mqtt"
_ALL = "all"
#: That many network threads that no longer respond are no accident of the network.
_MAX_HUNG_THREADS = 3
_log = logging.getLogger(__name__)


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
        self._duplicates = DuplicateFilter()
        self._ack_relay = AckRelay()
        #: The last payload of each topic that is published only when it changes.
        self._last_payloads: dict[str, bytes] = {}
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
        payload = encode(event)
        delivered = partial(self.context.delivered, NAME, event) if event.event_type.is_outcome else None
        self._publish(f"{event.speaker}/event", payload, delivered=delivered)
        if event.event_type.is_outcome:
            self._reply(origin, payload)
        if self._ack_relay.should_tell(event):
            self._publish(ACKNOWLEDGE_ALL, event.id.encode())

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._publish(f"{speaker}/state", encode(state), retain=True)
        settings = {"volume": str(state.volume), "mute": _on_off(state.mute), "dnd": _on_off(state.dnd)}
        for setting, value in settings.items():
            topic, payload = f"{speaker}/{setting}", value.encode()
            if self._last_payloads.get(topic) != payload:
                self._last_payloads[topic] = payload
                self._publish(topic, payload, retain=True)

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        payload = encode(rejection)
        self._publish(f"{rejection.node}/event", payload)
        self._reply(origin, payload)

    async def _connect(self) -> None:
        await self._listening.wait()
        if self._broker is None:
            _log.warning("no broker is configured, so nothing arrives over MQTT: set mqtt.host")
            await asyncio.Event().wait()
            return
        # Listing plugins and checking a configuration must not import paho.
        from edgevoice_plugins.mqtt.reconnect import ReconnectLoop  # noqa: PLC0415

        loop = ReconnectLoop(
            self.context, self._options, self._broker, self._outbox, self._receive, self._timeouts
        )
        await loop.run()

    def _receive(self, message: Message) -> None:
        """Submit the command of a message.

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
        if command is not None:
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


def _on_off(value: bool) -> str:
    return "ON" if value else "OFF"


def _ignore(_command: Command) -> None:
    """Drop a command that arrives before `listen` was called."""
