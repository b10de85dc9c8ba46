"""The environment variables of a peer, and two ways to subscribe to the broker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import paho.mqtt.client as paho

PORT = int(os.environ["BENCH_MQTT_PORT"])
TOPIC = os.environ["BENCH_TOPIC"]
HTTP = os.environ["BENCH_HTTP"]
WS = os.environ["BENCH_WS"]
FOLDER = os.environ["BENCH_FOLDER"]
RATE = 24000
KEY = "sk_bench"
VOICE = "magnus"
SAY, URGENT = f"{TOPIC}/say", f"{TOPIC}/say/critical"


def ready() -> None:
    print("READY", flush=True)


def listen(say: Callable[[str], None], urgent: Callable[[str], None] | None = None) -> None:
    """Call `say` or `urgent` with each text from paho's network loop, as most scripts do."""

    def hear(topic: str, text: str) -> None:
        (urgent if urgent and topic == URGENT else say)(text)

    subscribed(hear).loop_forever()


def subscribed(hear: Callable[[str, str], None]) -> paho.Client:
    """Return a paho client that calls `hear` with topic and text while its loop runs."""
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    def on_connect(client: paho.Client, *_: object) -> None:
        client.subscribe([(SAY, 0), (URGENT, 0)])

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        hear(message.topic, message.payload.decode())

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: ready()
    client.on_message = on_message
    client.connect("127.0.0.1", PORT)
    return client


async def texts() -> AsyncIterator[tuple[str, bool]]:
    """Yield each text, and whether it is urgent."""
    import aiomqtt

    async with aiomqtt.Client("127.0.0.1", PORT) as client:
        await client.subscribe(SAY)
        await client.subscribe(URGENT)
        ready()
        async for message in client.messages:
            yield bytes(message.payload).decode(), str(message.topic) == URGENT


def request(text: str) -> dict[str, object]:
    return {"text": text, "voice_id": VOICE, "sample_rate": RATE, "output_format": "pcm"}


class Card:
    """A PyAudio output stream that stays open."""

    def __init__(self) -> None:
        import pyaudio

        self._stream = pyaudio.PyAudio().open(format=pyaudio.paInt16, channels=1, rate=RATE, output=True)

    def write(self, pcm: bytes) -> None:
        self._stream.write(pcm)
