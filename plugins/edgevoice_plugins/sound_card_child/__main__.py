"""Run as `python -m edgevoice_plugins.sound_card_child DESCRIPTOR DEVICE` or `--list`."""

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
from edgevoice_plugins.sound_card_child.card import CardLost, devices
from edgevoice_plugins.sound_card_child.player import Player


def main() -> None:
    keep_chatter_away()
    if sys.argv[1] == "--list":
        list_devices()
    else:
        play(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
    # Closing a lost card may block.
    os._exit(0)


def list_devices() -> None:
    sys.stdout.write(json.dumps([device.described() for device in devices(pyaudio.PyAudio())]))
    sys.stdout.flush()


def play(line: socket.socket, device: str) -> None:
    """Do as the other end of `line` says, until the card is lost or the other end is gone."""
    # A signal to the whole group is for the daemon, which may want to finish its sentence.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, args=(line,), daemon=True).start()
    try:
        Player(line, device).run()
    except CardLost as lost:
        line.send(wire.LOST + str(lost).encode())


def end_with_parent(line: socket.socket) -> None:
    """End this process when the daemon is gone, even while the sound server blocks it."""
    poll = select.poll()
    poll.register(line, 0)  # hang-ups alone
    poll.poll()
    os._exit(0)


def keep_chatter_away() -> None:
    """Send what libraries print to descriptor 2 to nowhere, but not Python's own errors."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    os.environ.setdefault("JACK_NO_START_SERVER", "1")


if __name__ == "__main__":
    main()
