"""The outbox, with failures of publishing that a real client cannot reproduce."""

from __future__ import annotations

import asyncio

from edgevoice_plugins.mqtt.outbox import MAX_EVENTS_OFFLINE, MAX_IN_FLIGHT, Outbox, Outgoing


async def test_failed_publish_is_retried_after_the_others():
    outbox, published, failures = Outbox(retry_s=0.01), [], [True, True]

    def publish(message):
        if message.payload == b"bad" and failures:
            failures.pop()
            raise RuntimeError("broken")
        published.append(message.payload)
        return len(published)

    outbox.connected(publish)
    outbox.put(Outgoing(topic="state", payload=b"bad", retain=True))
    outbox.put(Outgoing(topic="event", payload=b"bad"))
    outbox.put(Outgoing(topic="event", payload=b"good"))
    while len(published) < 3:
        await asyncio.sleep(0.01)
    assert published == [b"good", b"bad", b"bad"]
    for packet in (1, 2, 3):
        outbox.acknowledged(packet)
    await outbox.wait_empty()
    assert not failures


async def test_dropped_events_are_bounded_and_logged_at_once(caplog):
    outbox, published, delivered = Outbox(), [], []
    for number in range(MAX_EVENTS_OFFLINE + 5):
        outbox.put(
            Outgoing(topic="event", payload=b"%d" % number, delivered=lambda n=number: delivered.append(n))
        )
    assert len(caplog.records) == 1

    def publish(message):
        published.append(int(message.payload))
        return len(published)

    outbox.connected(publish)
    for packet in range(1, MAX_EVENTS_OFFLINE + 1):
        outbox.acknowledged(packet)
    async with asyncio.timeout(5):
        await outbox.wait_empty()
    # Dropped outcomes were never delivered, so the core tells them again at its next start.
    assert published == delivered == list(range(5, MAX_EVENTS_OFFLINE + 5))
    assert len(caplog.records) == 2
    assert "5 events" in caplog.text


async def test_unacknowledged_messages_are_published_again_in_order():
    outbox, published = Outbox(), []

    def publish(message):
        published.append(message.payload)
        return len(published)

    outbox.put(Outgoing(topic="state", payload=b"old", retain=True))
    outbox.put(Outgoing(topic="state", payload=b"new", retain=True))
    for number in range(MAX_IN_FLIGHT + 1):
        outbox.put(Outgoing(topic="event", payload=b"%d" % number))
    outbox.connected(publish)
    assert len(published) == MAX_IN_FLIGHT
    outbox.acknowledged(1)
    outbox.disconnected()
    published.clear()
    outbox.connected(publish)
    for packet in range(1, MAX_IN_FLIGHT + 2):
        outbox.acknowledged(packet)
    assert published == [*(b"%d" % number for number in range(1, MAX_IN_FLIGHT + 1)), b"new"]
    await outbox.wait_empty()
