"""The messages between the daemon and the sound card's child process, one per packet.

A message is a `HEADER`, which holds its kind and two numbers, and a payload: text (UTF-8) or PCM (s16le mono at
the card's rate). A number without a meaning below is 0. Frames are counted from the last START.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("<cQQ")
MAX_PAYLOAD_BYTES = 32_768
MAX_MESSAGE_BYTES = HEADER.size + MAX_PAYLOAD_BYTES
#: As `edgevoice.BYTES_PER_FRAME`, without importing the core: that would triple the time the child needs to start.
BYTES_PER_FRAME = 2
#: DONE is sent while up to this much is still to be played, so that the next announcement follows without a
#: gap. See docs/decisions/gapless-playback.md.
DONE_EARLY_S = 0.03
#: The period requested from the card; shorter periods underrun under load.
PERIOD_S = 0.02

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
#: Open and close the card without a sound. First number: rate in Hz. Answered by OPENED.
PROBE = b"T"

# From the child to the daemon.

#: The card is open. Payload: its name.
OPENED = b"O"
#: Progress. Numbers: frames written to the card, frames played. Sent after the first write, then each time
#: another `REPORT_S` was played, at each change in an underrun, and before LOST.
POSITION = b"H"
#: Each report wakes the daemon, but an interruption at a pause, of 80 ms or more, is late by up to this much.
REPORT_S = 0.03
#: All but the last `DONE_EARLY_S` was played.
DONE = b"D"
#: After DONE: the last frame was played.
DRAINED = b"R"
#: The announcement was stopped. Numbers: frames written to the card, frames played.
STOPPED = b"X"
#: The card cannot be used. Payload: the reason. The process ends.
LOST = b"F"
