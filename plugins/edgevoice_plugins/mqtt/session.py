"""What outlives a connection to the broker, and how one is begun in a version of MQTT that the broker knows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevoice_plugins.mqtt.connection import Connection
from edgevoice_plugins.mqtt.failures import BrokerError, VersionRefused, unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.outbox import Outgoing
    from edgevoice_plugins.mqtt.topics import Message


@dataclass(kw_only=True)
class Session:
    """Who we are to the broker, and where its messages go.

    `received` acknowledges a message once it is safe: one that was not acknowledged comes again with the
    next connection. `published` is told the packet id and reason code of each PUBACK.
    """

    client_id: str
    received: Callable[[Message], None]
    published: Callable[[int, int], None]
    will: Outgoing | None = None
    clean: bool = False
    expiry: int = 0
    number: int = 0
    """Counts the sessions the broker has begun for us; packet ids start again with each."""


@asynccontextmanager
async def connected(broker: Broker, session: Session) -> AsyncIterator[Connection]:
    """A connection in the first of the broker's versions of MQTT that it knows.

    Raises:
        BrokerError: there is none.
    """
    connection = await _opened(broker, session)
    try:
        yield connection
    finally:
        await connection.close()


async def _opened(broker: Broker, session: Session) -> Connection:
    failure = BrokerError(f"no version of MQTT to try with {broker.where}")
    for version in broker.versions:
        try:
            connection = Connection(broker, version, session)
            await connection.open()
        except VersionRefused as error:
            failure = error
        except (OSError, ValueError) as error:  # a certificate file that was changed, a name that is none
            raise unreachable(broker, error) from error
        else:
            return connection
    raise failure
