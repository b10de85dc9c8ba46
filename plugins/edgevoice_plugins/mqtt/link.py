"""The link to the broker: one connection after the other for ever, and what has to hold on each of them."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING

from edgevoice_plugins.mqtt.claims import Claims
from edgevoice_plugins.mqtt.failures import FAILED, BrokerError, Unreachable, denied, rivalled
from edgevoice_plugins.mqtt.options import client_id_of
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.session import Session, connected
from edgevoice_plugins.mqtt.topics import filters

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.plugin import Context
    from edgevoice_plugins.mqtt.connection import Connection
    from edgevoice_plugins.mqtt.options import Broker, Mqtt
    from edgevoice_plugins.mqtt.outbox import Outbox
    from edgevoice_plugins.mqtt.topics import Message

_SHORTEST, _LONGEST = 1.0, 30.0
"""Seconds between two attempts."""
_LASTED = 30.0
"""Seconds after which a connection was a good one: two nodes with one client id never get so far."""
_BRIEF = 3
"""So many connections in a row that were lost before that are no accident."""
_FAREWELL = 2.0
"""Seconds that the last events and `offline` may take."""
_log = logging.getLogger("edgevoice.mqtt")


class Link:
    """Keeps what the contract promises of a node at its broker; `take` is given each message."""

    def __init__(
        self,
        context: Context,
        options: Mqtt,
        broker: Broker,
        outbox: Outbox,
        take: Callable[[Message], None],
    ) -> None:
        self._context = context
        self._broker = broker
        self._outbox = outbox
        self._take = take
        self._claims = Claims(context, options.base_topic)
        self._filters = filters(options.base_topic, context.targets)
        self._availability = f"{options.base_topic}/{context.node}/availability"
        self._session = Session(
            client_id=client_id_of(options, context.node),
            received=self._received,
            published=self._published,
            will=self._available("offline"),
            expiry=options.session_expiry,
        )
        self._faults = _Faults(context)
        self._denied: set[str] = set()
        self._brief = 0

    async def keep(self) -> None:
        """Connect and serve, for ever; when cancelled, say farewell."""
        attempt = 0
        while True:
            began = time.monotonic()
            try:
                async with connected(self._broker, self._session) as connection:
                    failure = await self._serve(connection)
            except BrokerError as error:
                failure = error
            attempt = 0 if time.monotonic() - began > _LASTED else attempt + 1
            self._faults.down(failure)
            # Full jitter, so that a house of nodes does not come back in step after a power cut.
            most = min(_LONGEST, _SHORTEST * 2.0 ** min(attempt, 10))
            await asyncio.sleep(random.uniform(_SHORTEST, most))  # noqa: S311 - no secret

    async def _serve(self, connection: Connection) -> BrokerError:
        began = time.monotonic()
        self._denied.clear()
        self._claims.forget()
        self._outbox.online(connection.publish)
        try:
            async with asyncio.TaskGroup() as group:
                announcing = group.create_task(self._announce(connection))
                failure = await connection.ended()
                announcing.cancel()
        except asyncio.CancelledError:
            await self._say_farewell(connection)
            raise
        finally:
            self._outbox.offline()
            self._outbox.forget(self._availability)
        self._brief = self._brief + 1 if time.monotonic() - began < _LASTED else 0
        return rivalled(self._broker) if self._brief >= _BRIEF else failure

    async def _announce(self, connection: Connection) -> None:
        """Subscribe; once that stands and the speakers were tried, be available."""
        try:
            refused = await connection.subscribe([*self._filters, *self._claims.filters])
        except BrokerError as error:
            connection.abandon(error)
            return
        if refused := [topic for topic in refused if not self._claims.watches(topic)]:
            self._faults.up(denied(self._broker, "subscribe to", refused))
            return
        if dropped := self._outbox.take_dropped():
            _log.warning("the broker was away for long: %d events were never published", dropped)
        _log.debug("connected to the broker at %s with MQTT %s", self._broker.where, connection.version)
        if self._brief < _BRIEF:
            self._faults.up(self._denial())
        await self._context.ready.wait()
        self._outbox.put(self._claims.own)
        self._outbox.put(self._available("online"))
        if self._brief >= _BRIEF:
            await asyncio.sleep(_LASTED)
            self._faults.up(self._denial())

    async def _say_farewell(self, connection: Connection) -> None:
        self._outbox.put(self._available("offline"))
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._outbox.emptied()
        except TimeoutError:
            connection.abandon()  # the broker then publishes the last will

    def _received(self, message: Message) -> None:
        if self._claims.take(message):
            message.acknowledge()
        else:
            self._take(message)

    def _available(self, payload: str) -> Outgoing:
        return Outgoing(topic=self._availability, payload=payload.encode(), retain=True)

    def _published(self, packet: int, code: int) -> None:
        message = self._outbox.acknowledged(packet)
        if message is not None and code >= FAILED:
            self._denied.add(message.topic)
            self._faults.up(self._denial())

    def _denial(self) -> str | None:
        return denied(self._broker, "publish to", sorted(self._denied)) if self._denied else None


class _Faults:
    """Raises the fault of the broker once for each outage, and clears it once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sentence: str | None = None
        self._is_down = False

    def down(self, failure: BrokerError) -> None:
        # That it still cannot be reached is no news; that it refuses us now is.
        if not (self._is_down and isinstance(failure, Unreachable)):
            self._tell(str(failure))
        self._is_down = True

    def up(self, sentence: str | None) -> None:
        """There is a connection; the sentence says what is wrong with it."""
        self._is_down = False
        self._tell(sentence)

    def _tell(self, sentence: str | None) -> None:
        if sentence != self._sentence:
            self._sentence = sentence
            self._context.fault("mqtt", sentence)
