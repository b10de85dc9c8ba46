"""Software gain: exact at 100, never louder, and never below the floor."""

import struct

import pytest

from edgevoice.volume import effective, scale


@pytest.mark.parametrize(
    ("asked", "speaker", "floor", "volume"),
    [
        (None, 60, None, 60),
        (30, 60, None, 30),
        (0, 60, None, 0),
        (33.4, 60, None, 33),
        (30, 60, 70, 70),
        (90, 60, 70, 90),
        (None, 60, 70, 70),
    ],
)
def test_the_announcements_own_volume_wins_and_the_floor_holds(asked, speaker, floor, volume):
    assert effective(asked, speaker, floor=floor) == volume


def test_at_100_the_samples_are_unchanged():
    pcm = struct.pack("<4h", 32767, -32768, 1, 0)
    assert scale(pcm, 100) is pcm


def test_less_is_so_many_percent_of_the_amplitude():
    pcm = struct.pack("<5h", 32767, -32768, 1000, -3, 0)
    assert struct.unpack("<5h", scale(pcm, 50)) == (16384, -16384, 500, -2, 0)
    assert scale(pcm, 0) == bytes(len(pcm))
    assert scale(b"", 50) == b""
