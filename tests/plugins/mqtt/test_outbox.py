"""What is to be published, where handing it over breaks; a fault no real client can show."""

from __future__ import annotations

import asyncio

from edgevoice_plugins.mqtt import outbox as mqtt_outbox
from edgevoice_plugins.mqtt.outbox import Outbox, Outgoing


async def test_what_could_not_be_handed_over_is_published_later_and_keeps_nothing_else_waiting(
    monkeypatch, caplog
):
    monkeypatch.setattr(mqtt_outbox, "AGAIN_AFTER", 0.01)
    outbox, published, breaks = Outbox(), [], [True, True]

    def publish(message):
        if message.payload == b"bad" and breaks:
            breaks.pop()
            raise RuntimeError("broken")
        published.append(message.payload)
        return len(published)

    outbox.online(publish)
    outbox.put(Outgoing(topic="state", payload=b"bad", retain=True))
    outbox.put(Outgoing(topic="event", payload=b"bad"))
    outbox.put(Outgoing(topic="event", payload=b"good"))
    while len(published) < 3:
        await asyncio.sleep(0.01)
    assert published == [b"good", b"bad", b"bad"]
    for packet in (1, 2, 3):
        outbox.acknowledged(packet)
    await outbox.emptied()
    assert caplog.text.count("is tried again") == 2
