"""The source `mqtt`: messages become commands, and what became of them is published."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Self

from edgevoice.commands import Acknowledge, Say
from edgevoice.errors import ConfigError
from edgevoice.plugin import Observer, Source
from edgevoice_plugins.mqtt.deliveries import Deliveries
from edgevoice_plugins.mqtt.options import THREAD, Mqtt, broker_of
from edgevoice_plugins.mqtt.outbox import Outbox, Outgoing
from edgevoice_plugins.mqtt.payload import encode
from edgevoice_plugins.mqtt.recent import Recent
from edgevoice_plugins.mqtt.topics import ACKNOWLEDGE_ALL, Origin, command_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edgevoice.commands import Command, Submit
    from edgevoice.outcome import Event, Rejection, SpeakerState
    from edgevoice.plugin import Context
    from edgevoice_plugins.mqtt.topics import Message

#: The name under which the source is registered.
NAME = "mqtt"
ALL = "all"
ACKNOWLEDGED = "acknowledged"
"""The reason with which an alert that insists ends when somebody has heard it."""
ACKNOWLEDGED_LATELY = 60.0
"""Seconds in which it is told only once that an alert was acknowledged, whoever told it."""
_HUNG_THREADS = 3
"""So many network threads that no longer answer are no accident of the network."""


logger = logging.getLogger(__name__)


class MqttSource(Source, Observer):
    """Listens and tells under the base topic; without a host it does neither.

    Raises:
        ConfigError: a password or certificate file is missing or empty.
    """

    options = Mqtt

    @classmethod
    def validate_options(cls, options: Mqtt) -> list[tuple[str, str]]:
        try:
            broker_of(options)
        except ConfigError as error:
            return [(mistake.path.removeprefix("mqtt."), mistake.message) for mistake in error.issues]
        return []

    def __init__(self, context: Context, options: Mqtt) -> None:
        super().__init__(context, options)
        self._context = context
        self._options = options
        self._broker = broker_of(options)
        # Without a broker nothing is ever delivered.
        self.durable = self._broker is not None
        self._outbox = Outbox()
        self._deliveries = Deliveries()
        self._acknowledged = Recent(ACKNOWLEDGED_LATELY)
        self._set: dict[str, bytes] = {}
        self._listening = asyncio.Event()
        self._submit: Submit = _unheard
        self._keeper: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="mqtt")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Later than the end of `listen`: what the others tell while they stop is published too.
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper

    async def listen(self, submit: Submit) -> None:
        self._submit = submit
        self._listening.set()
        try:
            await asyncio.wait({self._keeper})
            self._keeper.result()
        finally:
            self._listening.clear()

    def stall_reason(self) -> str | None:
        hung = sum(thread.name == THREAD for thread in threading.enumerate()) - 1
        if hung >= _HUNG_THREADS:
            return f"{hung} network threads hang; only a new process can help"
        return None

    def on_event(self, event: Event, origin: object) -> None:
        payload = encode(event)
        delivered = partial(self._context.delivered, NAME, event) if event.event_type.is_outcome else None
        self._publish(f"{event.speaker}/event", payload, delivered=delivered)
        if event.event_type.is_outcome:
            self._answer(origin, payload)
        if event.reason == ACKNOWLEDGED and self._acknowledged.note(event.id):
            self._publish(ACKNOWLEDGE_ALL, event.id.encode())

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        self._publish(f"{speaker}/state", encode(state), retain=True)
        switches = {"volume": str(state.volume), "mute": _on(state.mute), "dnd": _on(state.dnd)}
        for what, value in switches.items():
            topic, payload = f"{speaker}/{what}", value.encode()
            if self._set.get(topic) != payload:
                self._set[topic] = payload
                self._publish(topic, payload, retain=True)

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        payload = encode(rejection)
        self._publish(f"{rejection.node}/event", payload)
        self._answer(origin, payload)

    async def _keep(self) -> None:
        await self._listening.wait()
        if self._broker is None:
            logger.warning("no broker is configured, so nothing comes over MQTT: set mqtt.host")
            await asyncio.Event().wait()
            return
        # Whoever lists plugins or checks a configuration has no use for paho.
        from edgevoice_plugins.mqtt.link import Link  # noqa: PLC0415

        await Link(self._context, self._options, self._broker, self._outbox, self._take).keep()

    def _take(self, message: Message) -> None:
        """Hand a message over; the broker keeps it if nobody listens any more, or until it is safe."""
        if not self._listening.is_set():
            return
        new = self._deliveries.first(message)
        if new is None:
            return
        command = command_of(self._options.base_topic, new)
        if isinstance(command, Acknowledge) and command.target == ALL:
            self._acknowledged.note(command.payload.decode(errors="replace").strip())
        if command is not None:
            self._submit(command)
        if not isinstance(command, Say):
            new.acknowledge()

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

    def _answer(self, origin: object, payload: bytes) -> None:
        if isinstance(origin, Origin):
            self._outbox.put(
                Outgoing(topic=origin.response_topic, payload=payload, correlation=origin.correlation)
            )


def _on(switch: bool) -> str:
    return "ON" if switch else "OFF"


def _unheard(_command: Command) -> None:
    """Take a command before anybody listens."""
