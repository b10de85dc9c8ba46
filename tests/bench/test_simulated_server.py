"""The simulated server's answer to a text, and the packets that the publisher reads."""

import itertools

import numpy as np
import pytest

from bench.rig.publisher import CONNECT, PUBLISH, packet, publications
from bench.server.knobs import Knobs, parse_spec, tagged_text
from bench.server.speech import header, schedule, tone


def asked(text="", **body):
    return parse_spec({"text": text, **body}, Knobs())


def test_tags_of_a_text_set_its_speech():
    found = asked(tagged_text(12, 400, hz=800, seed=7), sample_rate=16000, output_format="pcm")
    assert (found.number, found.seconds, found.frequency, found.seed) == (12, 0.4, 800, 7)
    assert (found.rate, found.wav) == (16000, False)


def test_untagged_text_lasts_by_its_length():
    assert asked("x" * 150).seconds == pytest.approx(10)
    assert asked("").seconds > 0
    assert asked("Hello.").number == -1


def test_tone_is_continuous_across_chunks():
    speech = asked("ms2500x hz440x .", sample_rate=8000)
    whole = tone(speech, 0, 20000)
    pieces = [tone(speech, start, min(777, 20000 - start)) for start in range(0, 20000, 777)]
    assert b"".join(pieces) == whole
    samples = np.frombuffer(whole, "<i2")
    assert samples[0] == 0
    assert np.abs(samples).max() == pytest.approx(0.25 * 32767, abs=40)


def test_chunks_are_due_by_model_speed():
    knobs = Knobs(setup_ms=100, speed=2, chunk_ms=80)
    found = list(schedule(parse_spec({"text": "ms200x ."}, knobs), knobs))
    assert [round(due, 3) for due, _, _ in found] == [0.1, 0.14, 0.18]
    assert [frames for _, _, frames in found] == [1920, 1920, 960]


def test_jitter_and_stalls_follow_the_seed():
    knobs = Knobs(jitter_ms=50, stall_share=0.2, stall_ms=400, speed=2)
    same, again, other = (
        list(schedule(parse_spec({"text": f"ms5000x seed{seed}x ."}, knobs), knobs)) for seed in (3, 3, 4)
    )
    assert same == again != other
    apart = [after[0] - before[0] for before, after in itertools.pairwise(same)]
    assert max(apart) > 0.3


def test_wav_header_has_the_data_size():
    head = header(1000, 24000)
    assert len(head) == 44
    assert head[:4] == b"RIFF"
    assert int.from_bytes(head[40:], "little") == 1000


def test_only_whole_packets_are_parsed():
    body = b"\x00\x03a/b" + b"x" * 200
    data = bytearray(packet(CONNECT, b"\x00") + packet(PUBLISH, body) + packet(PUBLISH, body)[:-1])
    assert list(publications(data)) == [("a/b", b"x" * 200)]
    data += b"x"
    assert list(publications(data)) == [("a/b", b"x" * 200)]
    assert not data
