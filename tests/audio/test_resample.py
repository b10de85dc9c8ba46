import itertools
import subprocess
import sys
from random import Random

import numpy as np
import pytest
import soxr

from edgevoice.audio.resample import Resampler

RATES = (8000, 16000, 22050, 24000, 44100, 48000)
PAIRS = list(itertools.permutations(RATES, 2))


def noise(frames: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-32768, 32768, frames, dtype=np.int16).tobytes()


def in_pieces(resampler: Resampler, pcm: bytes, seed: int) -> bytes:
    """Feed pieces of odd numbers of frames, an empty one among them; flush with an empty `last` piece."""
    sizes = Random(seed)
    made = [resampler.feed(b"")]
    while pcm:
        size = 2 * (2 * sizes.randrange(0, 900) + 1)
        made.append(resampler.feed(pcm[:size]))
        pcm = pcm[size:]
    return b"".join([*made, resampler.feed(b"", last=True)])


@pytest.mark.parametrize(("source_rate", "target_rate"), PAIRS)
def test_stream_equals_one_shot(source_rate: int, target_rate: int) -> None:
    pcm = noise(source_rate + 37)
    once = soxr.resample(np.frombuffer(pcm, np.int16), source_rate, target_rate, quality="HQ")
    streamed = np.frombuffer(in_pieces(Resampler(source_rate, target_rate), pcm, source_rate), np.int16)
    assert len(streamed) == len(once)
    assert np.abs(streamed.astype(int) - once.astype(int)).max() <= 1


def test_result_is_independent_of_pieces() -> None:
    pcm = noise(24001)
    assert in_pieces(Resampler(24000, 48000), pcm, 1) == in_pieces(Resampler(24000, 48000), pcm, 2)


def test_full_scale_is_clipped() -> None:
    square = np.repeat(np.array([32767, -32768] * 50, np.int16), 100)
    made = Resampler(24000, 44100).feed(square.tobytes(), last=True)
    once = soxr.resample(square.astype(np.float64), 24000, 44100)
    assert np.abs(np.frombuffer(made, np.int16) - np.clip(once, -32768, 32767)).max() <= 1


@pytest.mark.parametrize("pcm", [b"", b"\x01\x02", noise(3)])
def test_short_audio_keeps_length(pcm: bytes) -> None:
    assert len(Resampler(24000, 48000).feed(pcm, last=True)) == 2 * len(pcm)


def test_source_frames() -> None:
    resampler = Resampler(24000, 44100)
    made = len(resampler.feed(noise(24001), last=True)) // 2
    assert resampler.taken == 24001
    assert resampler.source_frames(0) == 0
    assert resampler.source_frames(22050) == 12000
    assert resampler.source_frames(made) in (24000, 24001)


def test_equal_rates_pass_without_imports() -> None:
    program = (
        "import sys\nfrom edgevoice.audio.resample import Resampler\n"
        "resampler = Resampler(24000, 24000)\npcm = bytes(range(100))\n"
        "assert resampler.feed(pcm) is pcm\nassert resampler.feed(b'', last=True) == b''\n"
        "assert resampler.source_frames(7) == 7\n"
        "assert not {'numpy', 'soxr'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
