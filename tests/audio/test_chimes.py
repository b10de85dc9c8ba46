"""Chimes: those made for EdgeVoice, a user's own by name only, and nothing that is no chime."""

from __future__ import annotations

import os
import wave

import numpy as np
import pytest

from edgevoice.audio.chimes import BUILT_IN, MAX_CHIME_S, PEAK_LEVEL, Chimes

RATE = 24000


def write(file, samples, *, rate=RATE, channels=1, width=2):
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(width)
        opened.setframerate(rate)
        opened.writeframes(samples)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("rate", [8000, 24000, 44100])
def test_a_built_in_chime_is_short_not_too_loud_and_ends_in_silence(name, rate):
    sound = np.frombuffer(Chimes().sound(name, rate), "<i2").astype(float)
    assert 0.3 < len(sound) / rate < 1.5
    assert np.abs(sound).max() == pytest.approx(PEAK_LEVEL * 32767, rel=0.01)
    assert np.abs(sound[:2]).max() < 1000
    assert np.abs(sound[-rate // 500 :]).max() < 1500


def test_the_pitch_of_a_note_is_what_it_says():
    sound = np.frombuffer(Chimes().sound("ding", RATE), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(sound, RATE))
    assert abs(int(spectrum.argmax()) - 880) <= 3


def test_the_alarm_is_another_sound_than_the_rest():
    sounds = {Chimes().sound(name, RATE) for name in BUILT_IN}
    assert len(sounds) == len(BUILT_IN)
    assert Chimes().tone(RATE) == Chimes().sound("alarm", RATE) * 3


def test_a_sound_is_made_once():
    chimes = Chimes()
    assert not chimes.is_loaded("ding", RATE)
    assert chimes.sound("ding", RATE) is chimes.sound("ding", RATE)
    assert chimes.is_loaded("ding", RATE)
    assert not chimes.is_loaded("ding", RATE + 1)


def test_an_unknown_name_is_silence():
    assert Chimes().sound("gong", RATE) == b""


def test_a_users_own_goes_before_a_built_in_one(tmp_path):
    samples = np.arange(2400, dtype="<i2").tobytes()
    write(tmp_path / "ding.wav", samples)
    write(tmp_path / "cuckoo.wav", samples)
    chimes = Chimes(tmp_path)
    assert chimes.sound("ding", RATE) == chimes.sound("cuckoo", RATE) == samples
    assert chimes.names == sorted({*BUILT_IN, "cuckoo"})
    assert chimes.problems() == []


def test_stereo_is_mixed_and_another_rate_resampled(tmp_path):
    left = (np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000) * 8000).astype("<i2")
    write(
        tmp_path / "tone.wav", np.column_stack((left, left)).astype("<i2").tobytes(), rate=48000, channels=2
    )
    sound = np.frombuffer(Chimes(tmp_path).sound("tone", RATE), "<i2").astype(float)
    assert len(sound) == RATE
    assert int(np.abs(np.fft.rfft(sound)).argmax()) == 440


def test_files_that_are_no_chime_are_told(tmp_path):
    write(tmp_path / "deep.wav", bytes(2400), width=1)
    write(tmp_path / "long.wav", bytes(int((MAX_CHIME_S + 1) * 8000 * 2)), rate=8000)
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    problems = dict(Chimes(tmp_path).problems())
    assert set(problems) == {"deep", "long", "text", "empty"}
    assert "8 bit" in problems["deep"]
    assert "11 s long" in problems["long"]
    assert Chimes(tmp_path).sound("text", RATE) == b""


def test_only_plain_names_are_looked_at(tmp_path):
    outside = tmp_path / "outside.wav"
    write(outside, bytes(200))
    folder = tmp_path / "chimes"
    folder.mkdir()
    (folder / "link.wav").symlink_to(outside)
    os.mkfifo(folder / "pipe.wav")
    write(folder / "UPPER.wav", bytes(200))
    write(folder / "ok_1-a.wav", bytes(200))
    assert Chimes(folder).names == sorted({*BUILT_IN, "ok_1-a"})
    for name in ("../outside", "/etc/passwd", "link", "ok_1-a.wav", ""):
        assert Chimes(folder).sound(name, RATE) == b""
