"""Software gain: the contract's order of volumes, exact at 100, never amplifying, gliding."""

import struct
import subprocess
import sys

import numpy as np
import pytest

from edgevoice.audio.gain import Gain, Ramp, effective_volume

RATE = 24_000


@pytest.mark.parametrize(
    ("asked", "usual", "ceiling", "floor", "volume"),
    [
        (None, 60, None, None, 60),
        (30, 60, None, None, 30),
        (0, 60, None, None, 0),
        (33.4, 60, None, None, 33),
        (90, 60, 30, None, 30),
        (20, 60, 30, None, 20),
        (30, 60, None, 70, 70),
        (90, 60, None, 70, 90),
        (90, 60, 30, 70, 70),
        (None, 60, 30, 70, 70),
    ],
)
def test_effective_volume_order(asked, usual, ceiling, floor, volume):
    assert effective_volume(asked, usual, ceiling=ceiling, floor=floor) == volume


def test_effective_volume_louder_is_capped():
    assert effective_volume(None, 60, boost=20) == 80
    assert effective_volume(None, 90, boost=20) == 100
    assert effective_volume(None, 60, boost=20, ceiling=30) == 30


def test_at_100_the_samples_are_unchanged():
    pcm = struct.pack("<4h", 32767, -32768, 1, 0)
    assert Gain(100, RATE).apply(pcm, 100) is pcm


def test_gain_scales_amplitude():
    pcm = struct.pack("<5h", 32767, -32768, 1000, -3, 0)
    assert struct.unpack("<5h", Gain(50, RATE).apply(pcm, 50)) == (16384, -16384, 500, -2, 0)
    assert Gain(0, RATE).apply(pcm, 0) == bytes(len(pcm))
    assert Gain(50, RATE).apply(b"", 50) == b""


def test_gain_never_amplifies():
    noise = np.random.default_rng(1).integers(-32768, 32767, RATE).astype("<i2")
    gain = Gain(100, RATE)
    for volume in (100, 30, 70, 0, 100, 99):
        heard = np.frombuffer(gain.apply(noise.tobytes(), volume), "<i2")
        assert (np.abs(heard.astype(int)) <= np.abs(noise.astype(int))).all()


def test_gain_change_glides_over_20_ms():
    loud = np.full(RATE, 10_000, "<i2").tobytes()
    gain = Gain(100, RATE)
    gain.apply(loud, 100)
    heard = np.frombuffer(gain.apply(loud, 20), "<i2").astype(int)
    assert (heard[0], heard[479], heard[480]) == (10_000, 2_000, 2_000)
    assert np.abs(np.diff(heard)).max() < 30


@pytest.mark.parametrize("frames", [1, 7, 240, 480, 481])
def test_gain_glides_across_pieces(frames):
    loud, gain = np.full(frames, 10_000, "<i2").tobytes(), Gain(100, RATE)
    gain.apply(loud, 100)
    heard = np.frombuffer(b"".join(gain.apply(loud, 0) for _ in range(RATE // 10 // frames)), "<i2").astype(
        int
    )
    assert (heard[0], heard[479], heard[480]) == (10_000, 0, 0)
    assert np.abs(np.diff(heard)).max() < 30


def test_gain_changed_during_glide_has_no_step():
    piece, gain = np.full(100, 10_000, "<i2").tobytes(), Gain(100, RATE)
    volumes = [100, 0, 0, 80, 80, 80, 80, 80, 80, 100, *[100] * 8]
    heard = np.frombuffer(b"".join(gain.apply(piece, volume) for volume in volumes), "<i2").astype(int)
    assert np.abs(np.diff(heard)).max() < 30
    assert heard[-1] == 10_000
    assert gain.apply(piece, 100) is piece


@pytest.mark.parametrize("size", [1, 7, 120, 121, 5000])
def test_ramp_fades_in_across_pieces(size):
    ramp, pcm = Ramp(RATE), np.full(500, 12_000, "<i2").tobytes()
    heard = np.frombuffer(
        b"".join(ramp.apply(pcm[at : at + 2 * size]) for at in range(0, len(pcm), 2 * size)), "<i2"
    )
    assert heard[:120].tolist() == [12_000 * index // 120 for index in range(120)]
    assert (heard[120:] == 12_000).all()


def test_import_loads_no_numpy():
    code = "import sys, edgevoice.playback.speaker, edgevoice.audio.silence, edgevoice.audio.gain; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
