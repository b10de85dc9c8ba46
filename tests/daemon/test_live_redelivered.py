"""Pieces of live text that the broker delivers twice are said once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from tests.support.fake_broker import packet, serving
from tests.support.house import House

TOPIC = b"edgevoice/kitchen/stream/a"


def publish(mid: int, payload: bytes, *, dup: bool = False) -> bytes:
    """A PUBLISH of MQTT 3.1.1, QoS 1."""
    body = len(TOPIC).to_bytes(2, "big") + TOPIC + mid.to_bytes(2, "big") + payload
    return bytes([0x3A if dup else 0x32, len(body)]) + body


async def test_redelivered_chunk_is_not_spoken_twice(lightning):
    subscribed = asyncio.Event()

    async def broker(reader, writer):
        await packet(reader)
        writer.write(b"\x20\x02\x00\x00")
        subscribe = await packet(reader)
        asked = subscribe.count(b"edgevoice/")
        writer.write(b"\x90" + bytes([2 + asked]) + subscribe[:2] + b"\x01" * asked)
        writer.write(publish(1, b"d100z One. ") + publish(2, b"d100z Two. "))
        # The acknowledgement of the second never came here; of the third, neither the message nor that.
        writer.write(publish(2, b"d100z Two. ", dup=True) + publish(3, b"d100z Two. ", dup=True))
        writer.write(publish(4, b"d100z End.") + publish(5, b"") + publish(5, b"", dup=True))
        await writer.drain()
        subscribed.set()
        await reader.read()

    def all_said() -> bool:
        asked = lightning.requests
        return all(request.ended for request in asked) and "End." in "".join(each.text for each in asked)

    async with serving(broker) as port:
        where = SimpleNamespace(host="127.0.0.1", port=port)
        mqtt = {"host": where.host, "port": port, "version": "3.1.1"}
        house = House(where, mqtt=mqtt, lightning={"base_url": lightning.url})
        house.begin()
        try:
            async with asyncio.timeout(20):
                await subscribed.wait()
                await lightning.until(all_said, within=15)
        finally:
            await house.leave()
        assert house.heard() == lightning.expected("d100z One. d100z Two. d100z Two. d100z End.")
