"""The usual script: on each message fetch a WAV file, then start a player. `script.py aplay | paplay`."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from bench.peers.wire import FOLDER, HTTP, RATE, VOICE, listen


def say(text: str) -> None:
    body = {"text": text, "voice_id": VOICE, "sample_rate": RATE, "output_format": "wav"}
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk_bench"}
    asked = urllib.request.Request(f"{HTTP}/waves/v1/tts", json.dumps(body).encode(), headers)
    file = Path(FOLDER) / "speech.wav"
    with urllib.request.urlopen(asked, timeout=600) as reply:
        file.write_bytes(reply.read())
    subprocess.run([sys.argv[1], str(file)], stderr=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    listen(say)
