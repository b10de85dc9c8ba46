"""Entry point: `python -m edgevoice_plugins.sound_card_child DESCRIPTOR DEVICE`, or `--list`."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading

import pyaudio

from edgevoice_plugins.sound_card_child import wire
from edgevoice_plugins.sound_card_child.card import CardLostError, output_devices
from edgevoice_plugins.sound_card_child.player import Player


def main() -> None:
    silence_libraries()
    if sys.argv[1] == "--list":
        list_devices()
    else:
        play(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
    # Not sys.exit: PyAudio's finalizers close the card, which may block if the card is lost.
    os._exit(0)


def list_devices() -> None:
    sys.stdout.write(json.dumps([device.as_json() for device in output_devices(pyaudio.PyAudio())]))
    sys.stdout.flush()


def play(connection: socket.socket, device: str) -> None:
    """Execute the daemon's commands until the card is lost or the daemon is gone."""
    # A signal to the whole process group is for the daemon, which may want to finish the sentence.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=exit_with_daemon, args=(connection,), daemon=True).start()
    try:
        Player(connection, device).run()
    except CardLostError as error:
        connection.send(wire.HEADER.pack(wire.LOST, 0, 0) + str(error).encode())


def exit_with_daemon(connection: socket.socket) -> None:
    """Exit when the daemon is gone, even while the sound server blocks the main thread."""
    poll = select.poll()
    poll.register(connection, 0)  # report hang-ups only
    poll.poll()
    os._exit(0)


def silence_libraries() -> None:
    """Discard what C libraries print to descriptor 2, but keep Python's own errors."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    os.environ.setdefault("JACK_NO_START_SERVER", "1")


if __name__ == "__main__":
    main()
