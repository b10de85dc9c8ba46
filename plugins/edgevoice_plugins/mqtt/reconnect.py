"""Keeps the node connected to its broker: one connection after the other, for as long as the daemon runs.

The loop, with the function of each state:

                 connect failed (BrokerError)
    CONNECTING ----------------------------------+      connected()
        | CONNACK                                |
        v            no SUBACK, or lost          v
    SUBSCRIBING ---------------------------> WAITING    _announce()  /  Backoff
        | SUBACK                              ^  |
        v                  lost               |  +----> CONNECTING
    STARTING ---------------------------------+         _announce(): the speakers are still being probed
        | context.ready                       |
        v                  lost               |
    AVAILABLE --------------------------------+         `online` is published; _serve() waits for the end

    CONNECTING, WAITING -- cancelled --> end
    SUBSCRIBING, STARTING, AVAILABLE -- cancelled --> FAREWELL --> end    publish `offline`, flush the outbox
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from edgevoice import Backoff
from edgevoice_plugins.mqtt.connection import Session, connected
from edgevoice_plugins.mqtt.errors import (
    BrokerError,
    UnreachableError,
    client_id_conflict,
    not_authorized,
)
from edgevoice_plugins.mqtt.options import client_id_of
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.topics import filters

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice import Context
    from edgevoice_plugins.mqtt.connection import Connection
    from edgevoice_plugins.mqtt.name_conflict import NameConflictDetector
    from edgevoice_plugins.mqtt.options import Broker, Mqtt, Timeouts
    from edgevoice_plugins.mqtt.outbox import Outbox
    from edgevoice_plugins.mqtt.topics import Message

#: After this many short connections in a row another client probably has our client id.
_SHORT_CONNECTIONS = 3
#: Denied topics that are remembered for the fault.
_MAX_DENIED = 100
logger = logging.getLogger(__name__)


class ReconnectLoop:
    """Connects, subscribes and publishes `availability`; `on_message` gets each message."""

    def __init__(  # noqa: PLR0913 - the parts of the source, made once
        self,
        context: Context,
        options: Mqtt,
        broker: Broker,
        *,
        outbox: Outbox,
        conflicts: NameConflictDetector,
        on_message: Callable[[Message], None],
        timeouts: Timeouts,
    ) -> None:
        self._context = context
        self._broker = broker
        self._base = options.base_topic
        self._outbox = outbox
        self._conflicts = conflicts
        self._timeouts = timeouts
        self._filters = filters(options.base_topic, context.targets)
        self._availability = f"{options.base_topic}/{context.node}/availability"
        self._session = Session(
            client_id=client_id_of(options, context.node),
            on_message=on_message,
            on_published=outbox.acknowledged,
            will=self._available("offline"),
            expiry_s=options.session_expiry,
        )
        self._outages = OutageReporter(context)
        self._denied: dict[str, None] = {}
        self._short_connections = 0

    async def run(self) -> None:
        """Connect and serve until cancelled; then publish `offline`."""
        # The jitter keeps the nodes of a house from coming back in step after a power cut.
        backoff = Backoff(self._timeouts.retry_first_s, self._timeouts.retry_max_s, jitter=0.5)
        while True:
            started = time.monotonic()
            try:
                async with connected(self._broker, self._session, self._timeouts) as connection:
                    failure = await self._serve(connection)
            except BrokerError as error:
                failure = error
            if time.monotonic() - started > self._timeouts.stable_s:
                backoff.reset()
            self._outages.down(failure)
            await asyncio.sleep(backoff.next_delay_s())

    async def _serve(self, connection: Connection) -> BrokerError:
        """Use a connection until it ends; return the reason."""
        started = time.monotonic()
        self._denied.clear()
        self._conflicts.connected(connection.request_subscription)
        self._outbox.connected(connection.publish, self._on_denied)
        try:
            async with asyncio.TaskGroup() as group:
                announcing = group.create_task(self._announce(connection))
                failure = await connection.ended()
                announcing.cancel()
        except asyncio.CancelledError:
            await self._say_farewell(connection)
            raise
        finally:
            self._outbox.disconnected()
            # `online` is published again only after the next subscription.
            self._outbox.discard(self._availability)
        is_short = time.monotonic() - started < self._timeouts.stable_s
        self._short_connections = self._short_connections + 1 if is_short else 0
        return client_id_conflict(self._broker) if self._is_unstable else failure

    @property
    def _is_unstable(self) -> bool:
        return self._short_connections >= _SHORT_CONNECTIONS

    async def _announce(self, connection: Connection) -> None:
        """Subscribe; once that stands and the speakers were probed, publish `online`."""
        try:
            refused = await connection.subscribe([*self._filters, *self._conflicts.filters])
        except BrokerError as error:
            connection.abandon(error)
            return
        if refused := [topic for topic in refused if not self._conflicts.watches(topic)]:
            self._outages.up(not_authorized(self._broker, "subscribe to", refused))
            return
        logger.debug("connected to the broker at %s with MQTT %s", self._broker.address, connection.version)
        if not self._is_unstable:
            self._outages.up(self._denial())
        await self._context.ready.wait()
        self._outbox.put(self._available("online"))
        # After `online`: a node that reads our `info` asks whether we are online, and would be told of the last time.
        self._conflicts.announce()
        if self._is_unstable:
            await asyncio.sleep(self._timeouts.stable_s)
            self._outages.up(self._denial())

    async def _say_farewell(self, connection: Connection) -> None:
        self._outbox.put(self._available("offline"))
        try:
            async with asyncio.timeout(self._timeouts.farewell_s):
                await self._outbox.wait_empty()
        except TimeoutError:
            connection.abandon()  # the broker then publishes the last will

    def _available(self, payload: str) -> Outgoing:
        return Outgoing(topic=self._availability, payload=payload.encode(), retain=True)

    def _on_denied(self, message: Outgoing) -> None:
        if not message.topic.startswith(f"{self._base}/"):
            # The sender chose this reply topic; that it is denied is no fault of the node.
            logger.debug("the broker does not let this node reply to %s", message.topic)
        elif len(self._denied) < _MAX_DENIED:
            self._denied[message.topic] = None
            self._outages.up(self._denial())

    def _denial(self) -> str | None:
        return not_authorized(self._broker, "publish to", sorted(self._denied)) if self._denied else None


class OutageReporter:
    """Raises the fault `mqtt` once for each outage, and clears it once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reported: str | None = None
        self._is_down = False

    def down(self, failure: BrokerError) -> None:
        """Report that there is no connection."""
        # Log only transitions: a broker that is still unreachable is not reported again, one that
        # now refuses us is.
        if not (self._is_down and isinstance(failure, UnreachableError)):
            self._report(str(failure))
        self._is_down = True

    def up(self, problem: str | None) -> None:
        """Report that there is a connection, and what is wrong with it."""
        self._is_down = False
        self._report(problem)

    def _report(self, problem: str | None) -> None:
        if problem != self._reported:
            self._reported = problem
            self._context.fault("mqtt", problem)
