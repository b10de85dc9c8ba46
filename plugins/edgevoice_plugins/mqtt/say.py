"""Publishes one announcement, whole or as it is typed, and follows what becomes of it."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevoice_plugins.mqtt.answers import Answers
from edgevoice_plugins.mqtt.failures import FAILED, BrokerError, denied
from edgevoice_plugins.mqtt.outbox import Outgoing
from edgevoice_plugins.mqtt.session import Session, connected
from edgevoice_plugins.mqtt.topics import Filter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edgevoice_plugins.mqtt.connection import Connection
    from edgevoice_plugins.mqtt.options import Broker
    from edgevoice_plugins.mqtt.topics import Message

ANSWER_WITHIN = 1.0
"""Seconds within which a speaker has to answer for the first time (contract)."""
_PUBLISHED_WITHIN = 10.0
_NOBODY = 0x10
"""The reason code "no matching subscribers" (MQTT 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcing:
    """What is to be said where; a text of None is live, and comes in pieces."""

    base: str
    target: str
    text: str | None
    urgency: str | None = None

    def whole(self, name: str) -> Outgoing:
        keys = {"text": self.text, "id": name}
        if self.urgency is not None:
            keys["urgency"] = self.urgency
        return Outgoing(topic=f"{self.base}/{self.target}/say", payload=json.dumps(keys).encode())

    def piece(self, name: str, piece: str, *, first: bool) -> Outgoing:
        topic = f"{self.base}/{self.target}/stream/{name}"
        if not first:
            return Outgoing(topic=topic, payload=piece.encode())
        keys = {"text": piece} if self.urgency is None else {"text": piece, "urgency": self.urgency}
        return Outgoing(topic=topic, payload=json.dumps(keys).encode(), content_type="application/json")


class Sayer:
    """One announcement on its way; `show` is given each event about it as it comes."""

    def __init__(
        self, broker: Broker, announcing: Announcing, show: Callable[[dict[str, Any]], None]
    ) -> None:
        self.id = f"say-{secrets.token_hex(6)}"
        self.answers = Answers(self.id)
        self._broker = broker
        self._announcing = announcing
        self._show = show
        self._news = asyncio.Event()
        self._codes: dict[int, int] = {}

    async def say(self, pieces: AsyncIterator[str], *, follow: float | None) -> bool:
        """Publish it; with `follow`, wait so many seconds for the end of it. Whether all went well.

        Raises:
            BrokerError: the broker cannot be reached, or nobody listens there.
        """
        session = Session(
            client_id=f"edgevoice-{self.id}", received=self._received, published=self._published, clean=True
        )
        async with connected(self._broker, session) as connection:
            saying = asyncio.create_task(self._carry_out(connection, pieces, follow))
            losing = asyncio.create_task(connection.ended())
            try:
                await asyncio.wait({saying, losing}, return_when=asyncio.FIRST_COMPLETED)
                if not saying.done():
                    raise losing.result()
                return await saying
            finally:
                saying.cancel()
                losing.cancel()

    async def _carry_out(
        self, connection: Connection, pieces: AsyncIterator[str], follow: float | None
    ) -> bool:
        if follow is not None:
            await self._subscribe(connection)
        if self._announcing.text is None:
            await self._stream(connection, pieces)
        else:
            await self._publish(connection, self._announcing.whole(self.id))
        return follow is None or await self._followed(follow)

    async def _subscribe(self, connection: Connection) -> None:
        if refused := await connection.subscribe([Filter(f"{self._announcing.base}/+/event")]):
            raise BrokerError(denied(self._broker, "subscribe to", refused))

    async def _stream(self, connection: Connection, pieces: AsyncIterator[str]) -> None:
        first = True
        async for piece in pieces:
            await self._publish(connection, self._announcing.piece(self.id, piece, first=first))
            first = False
        if first:
            raise BrokerError("there was nothing to say: standard input was empty")
        await self._publish(connection, self._announcing.piece(self.id, "", first=False))

    async def _publish(self, connection: Connection, message: Outgoing) -> None:
        packet = connection.publish(message)
        try:
            async with asyncio.timeout(_PUBLISHED_WITHIN):
                while packet not in self._codes:
                    await self._changed()
        except TimeoutError:
            raise BrokerError(f"the broker at {self._broker.where} does not take the message") from None
        code = self._codes.pop(packet)
        if code >= FAILED:
            raise BrokerError(denied(self._broker, "publish to", [message.topic]))
        if code == _NOBODY:
            raise BrokerError(
                f"nobody listens to {message.topic}: no daemon is running at this broker, "
                f"or none has a speaker or group {self._announcing.target!r}"
            )

    async def _followed(self, seconds: float) -> bool:
        await asyncio.sleep(ANSWER_WITHIN)
        if not self.answers.came:
            raise BrokerError(
                f"no speaker answered to {self._announcing.target!r} within {ANSWER_WITHIN:g} s"
            )
        try:
            async with asyncio.timeout(seconds):
                while not self.answers.are_settled:
                    await self._changed()
        except TimeoutError:
            waiting = ", ".join(f"{speaker}: {step}" for speaker, step in self.answers.waiting.items())
            raise BrokerError(f"not done after {seconds:g} s ({waiting})") from None
        return self.answers.are_good

    def _received(self, message: Message) -> None:
        event = self.answers.take(message.payload)
        if event is not None:
            self._show(event)
            self._news.set()
        message.acknowledge()

    def _published(self, packet: int, code: int) -> None:
        self._codes[packet] = code
        self._news.set()

    async def _changed(self) -> None:
        self._news.clear()
        await self._news.wait()
