"""What the daemon and the sound card's process say to each other: one packet is one message.

The process knows frames (s16le mono at the card's rate) and nothing else. A message is one byte, which
says what it is, and what belongs to it.
"""

from __future__ import annotations

import struct

BYTES_PER_FRAME = 2
EARLY_S = 0.03
"""`DONE` is said while so much is still to be heard, so that the next announcement follows without a gap."""
PERIOD_S = 0.02
"""Seconds of audio in one packet, and the period asked of the card; shorter ones underflow under load."""

# To the process.
START = b"P"
"""Begin an announcement at so many Hz, with at least so many frames of silence before its first sound (two
numbers): opens the card; answered by `OPENED`. Frames may follow at once."""
AUDIO = b"A"
"""The next frames."""
END = b"E"
"""No more will come; answered by `DONE` when the last frame is about to be heard."""
STOP = b"S"
"""Forget what is not yet heard and be silent at once; answered by `STOPPED`."""
TRY = b"T"
"""Open and close the card at so many Hz (one number), without a sound; answered by `OPENED`."""

# From the process; numbers of frames count from the last START.
OPENED = b"O"
"""The card is open; it holds so many frames (one number), and is called so (UTF-8)."""
HEARD = b"H"
"""So many frames handed to the card, so many of them heard (two numbers)."""
DONE = b"D"
OUT = b"R"
"""After `DONE`: the last frame was heard."""
STOPPED = b"X"
"""So many frames handed, so many heard (two numbers); no more will be."""
LOST = b"F"
"""The card cannot be used, and why (UTF-8); the process ends."""

LARGEST = 65536
"""Bytes of a message at most."""


def pack(kind: bytes, *numbers: int) -> bytes:
    """A message with numbers."""
    return kind + struct.pack(f"<{len(numbers)}Q", *numbers)


def numbers(message: bytes) -> tuple[int, ...]:
    """The numbers of a message."""
    return struct.unpack(f"<{(len(message) - 1) // 8}Q", message[1:])


def opened(message: bytes) -> tuple[int, str]:
    """What `OPENED` says."""
    return numbers(message[:9])[0], message[9:].decode()
