"""The walk of one message through the code: files visited, functions, calls, and moves from file to file.

usage: python -m bench.walk [--files]

One normal announcement of 18 characters over the transport `http`, counted on the event loop of a running daemon from
the PUBLISH to its outcome; once with `wav_file`, once with `sound_card` on a silent sink. The MQTT client's thread and
the child process of the sound card are not counted.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rig.broker import Broker
from bench.rig.lightning import Lightning
from bench.rig.publisher import Publisher
from bench.rig.pulse import Pulse
from edgevoice import run_daemon, settings_from

if TYPE_CHECKING:
    from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (str(ROOT / "edgevoice") + os.sep, str(ROOT / "plugins" / "edgevoice_plugins") + os.sep)
TEXT = "The tea is ready.."
#: Seconds until the connections are open ahead and the start is over.
SETTLE_S = 3.0
TIMEOUT_S = 20.0


class Walk:
    """Counts the calls of one thread into the packages of EdgeVoice."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.functions: set[tuple[str, str]] = set()
        self.calls = 0
        self.moves = 0
        self._last = ""
        self._thread = threading.get_ident()

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take an event of `sys.setprofile`."""
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(PACKAGES) or threading.get_ident() != self._thread:
            return
        self.files[file.removeprefix(str(ROOT) + os.sep)] += 1
        self.functions.add((file, frame.f_code.co_qualname))
        self.calls += 1
        self.moves += file != self._last
        self._last = file


async def measure(broker: Broker, server: Lightning, folder: Path, output: str) -> Walk:
    """Run a daemon with this output, publish one message, and return its walk."""
    settings = settings_from(f"""
        node: walk
        state_dir: {folder}
        mqtt: {{host: 127.0.0.1, port: {broker.port}}}
        lightning: {{base_url: "{server.http}"}}
        cache: {{enabled: false}}
        speakers: {{kitchen: {output}}}
    """)
    stop, walk = asyncio.Event(), Walk()
    daemon = asyncio.create_task(run_daemon(settings, stop))
    with Publisher(broker.port, "walk") as publisher:
        publisher.subscribe("edgevoice/kitchen/event")
        await asyncio.sleep(SETTLE_S)
        sys.setprofile(walk)
        publisher.publish("edgevoice/kitchen/say", f'{{"text": "{TEXT}", "transport": "http"}}'.encode())
        async with asyncio.timeout(TIMEOUT_S):
            while not any(  # noqa: ASYNC110 - the publisher has a plain socket
                b'"finished"' in payload for _, payload in publisher.received(0.0)
            ):
                await asyncio.sleep(0.02)
        sys.setprofile(None)
    stop.set()
    await daemon
    return walk


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Pulse(folder) as pulse,
            Broker(folder, os.environ) as broker,
            Lightning(folder, os.environ) as server,
        ):
            os.environ.update(pulse.environment(pulse.sink("walk")))
            outputs = {
                "wav_file": f"{{output: wav_file, path: {folder / 'walk.wav'}, pace: false}}",
                "sound_card": "{output: sound_card}",
            }
            print("| output | files | functions | calls | moves |\n|---|---|---|---|---|")
            for kind, output in outputs.items():
                state = folder / kind
                state.mkdir()
                walk = asyncio.run(measure(broker, server, state, output))
                print(f"| {kind} | {len(walk.files)} | {len(walk.functions)} | {walk.calls} | {walk.moves} |")
                if "--files" in sys.argv:
                    print("\n".join(f"{calls:6d} {file}" for file, calls in walk.files.items()))


if __name__ == "__main__":
    main()
