"""The messages between the daemon and the sound card's child process, one per packet.

A message is one byte, its kind, and a payload: numbers (little-endian unsigned 64 bit), text (UTF-8) or PCM
(s16le mono at the card's rate). Frames are counted from the last START.
"""

from __future__ import annotations

import struct

BYTES_PER_FRAME = 2
#: DONE is sent while up to this much is still to be played, so that the next announcement follows without a
#: gap. See docs/decisions/gapless-playback.md.
DONE_EARLY_S = 0.03
#: Audio in one packet, and the period requested from the card; shorter periods underrun under load.
PERIOD_S = 0.02
MAX_MESSAGE_BYTES = 65536

# From the daemon to the child.

#: Start an announcement. Numbers: rate in Hz, frames of silence that must precede its first sound. Opens the
#: card; answered by OPENED. AUDIO may follow at once.
START = b"P"
#: The next frames. Payload: PCM.
AUDIO = b"A"
#: No more AUDIO follows; answered by DONE.
END = b"E"
#: Drop what was not played yet and be silent at once; answered by STOPPED.
STOP = b"S"
#: Open and close the card without a sound. Number: rate in Hz. Answered by OPENED.
PROBE = b"T"

# From the child to the daemon.

#: The card is open. Number: frames that it holds. Then its name as text.
OPENED = b"O"
#: Progress. Numbers: frames written to the card, frames played.
POSITION = b"H"
#: All but the last `DONE_EARLY_S` was played.
DONE = b"D"
#: After DONE: the last frame was played.
DRAINED = b"R"
#: The announcement was stopped. Numbers: frames written to the card, frames played.
STOPPED = b"X"
#: The card cannot be used. Payload: the reason as text. The process ends.
LOST = b"F"


def pack(kind: bytes, *numbers: int) -> bytes:
    """Return a message with numbers."""
    return kind + struct.pack(f"<{len(numbers)}Q", *numbers)


def unpack(message: bytes) -> tuple[int, ...]:
    """Return the numbers of a message."""
    return struct.unpack(f"<{(len(message) - 1) // 8}Q", message[1:])


def unpack_opened(message: bytes) -> tuple[int, str]:
    """Return the capacity in frames and the name of the device from an OPENED message."""
    return unpack(message[:9])[0], message[9:].decode()
