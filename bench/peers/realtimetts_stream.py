"""RealtimeTTS with an engine for Lightning's event stream, which it lacks; an urgent message stops it first."""

from __future__ import annotations

import base64
import json
import queue
import sys
import threading
from typing import Any

import pyaudio
import requests
from RealtimeTTS import TextToAudioStream
from RealtimeTTS.engines.base_engine import BaseEngine

from bench.peers.wire import HTTP, RATE, listen, request


class Lightning(BaseEngine):  # type: ignore[misc]  # it has no types
    def __init__(self) -> None:
        self._session = requests.Session()

    def post_init(self) -> None:
        self.engine_name = "lightning"

    def get_stream_info(self) -> tuple[int, int, int]:
        return pyaudio.paInt16, 1, RATE

    def get_voices(self) -> list[str]:
        return []

    def set_voice(self, voice: str) -> None:
        """Do nothing: the engine has one voice."""

    def set_voice_parameters(self, **_: Any) -> None:
        """Do nothing: the voice has no parameters."""

    def synthesize(self, text: str, *rest: Any, **more: Any) -> bool:
        super().synthesize(text, *rest, **more)
        url = f"{HTTP}/waves/v1/tts/live"
        with self._session.post(url, json=request(text), stream=True) as reply:
            for line in reply.iter_lines():
                if self.stop_synthesis_event.is_set():
                    return False
                if line.startswith(b"data: ") and (audio := json.loads(line[6:]).get("audio")):
                    self.queue.put(base64.b64decode(audio))
        return True


def main() -> None:
    stream = TextToAudioStream(Lightning(), tokenizer="rule-based")  # its default fetches data of NLTK
    waiting: queue.Queue[str] = queue.Queue()

    def play() -> None:
        while True:
            stream.feed(waiting.get())
            try:
                stream.play(log_synthesized_text=False)
            except Exception as error:  # noqa: BLE001  the next message must be measured, too
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def urgent(text: str) -> None:
        stream.stop()
        with waiting.mutex:
            waiting.queue.appendleft(text)
            waiting.not_empty.notify()

    threading.Thread(target=play, daemon=True).start()
    listen(waiting.put, urgent)


if __name__ == "__main__":
    main()
