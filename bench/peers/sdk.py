"""The vendor's SDK, played by PyAudio. `sdk.py http | websocket`."""

from __future__ import annotations

import base64
import sys
from typing import Any

from smallestai import SmallestAI
from smallestai.environment import SmallestAIEnvironment

from bench.peers.wire import HTTP, KEY, RATE, VOICE, WS, Card, listen, request


def client() -> SmallestAI:
    places = SmallestAIEnvironment(atoms=HTTP, waves=HTTP, waves_ws=WS, payment=HTTP)
    return SmallestAI(api_key=KEY, environment=places)


def over_http(sdk: SmallestAI, card: Card, text: str) -> None:
    for pcm in sdk.waves.synthesize_tts(text=text, voice_id=VOICE, sample_rate=RATE, output_format="pcm"):
        card.write(pcm)


def over_socket(sdk: SmallestAI, card: Card, text: str) -> None:
    with sdk.waves.tts.connect() as line:
        line._send(request(text))  # noqa: SLF001  its public way takes no plain request
        for message in line:
            frame: dict[str, Any] = message if isinstance(message, dict) else message.dict()
            if audio := (frame.get("data") or {}).get("audio"):
                card.write(base64.b64decode(audio))
            if frame.get("status") == "complete":
                return


def main(mode: str) -> None:
    sdk, card = client(), Card()

    def say(text: str) -> None:
        try:
            (over_http if mode == "http" else over_socket)(sdk, card, text)
        except Exception as error:  # noqa: BLE001  the next message must be measured, too
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)

    listen(say)


if __name__ == "__main__":
    main(sys.argv[1])
