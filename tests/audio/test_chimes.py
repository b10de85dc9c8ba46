"""Chimes: the built-in ones, a user's own, and files that cannot be read."""

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
def test_built_in_is_short_and_ends_in_silence(name, rate):
    sound = np.frombuffer(Chimes().sound(name, rate), "<i2").astype(float)
    assert 0.3 < len(sound) / rate < 1.5
    assert np.abs(sound).max() == pytest.approx(PEAK_LEVEL * 32767, rel=0.01)
    assert np.abs(sound[:2]).max() < 1000
    assert np.abs(sound[-rate // 500 :]).max() < 1500


def test_pitch():
    sound = np.frombuffer(Chimes().sound("ding", RATE), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(sound, RATE))
    assert abs(int(spectrum.argmax()) - 880) <= 3


def test_built_in_sounds_differ():
    sounds = {Chimes().sound(name, RATE) for name in BUILT_IN}
    assert len(sounds) == len(BUILT_IN)
    assert Chimes().tone(RATE) == Chimes().sound("alarm", RATE) * 3


def test_sound_is_made_once():
    chimes = Chimes()
    assert not chimes.is_loaded("ding", RATE)
    assert chimes.sound("ding", RATE) is chimes.sound("ding", RATE)
    assert chimes.is_loaded("ding", RATE)
    assert not chimes.is_loaded("ding", RATE + 1)


def test_unknown_name_is_silent():
    assert Chimes().sound("gong", RATE) == b""


def test_own_chime_wins(tmp_path):
    samples = np.arange(2400, dtype="<i2").tobytes()
    write(tmp_path / "ding.wav", samples)
    write(tmp_path / "cuckoo.wav", samples)
    chimes = Chimes(tmp_path)
    assert chimes.sound("ding", RATE) == chimes.sound("cuckoo", RATE) == samples
    assert chimes.names == sorted({*BUILT_IN, "cuckoo"})
    assert chimes.problems() == []


def test_stereo_is_mixed_and_resampled(tmp_path):
    left = (np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000) * 8000).astype("<i2")
    write(
        tmp_path / "tone.wav", np.column_stack((left, left)).astype("<i2").tobytes(), rate=48000, channels=2
    )
    sound = np.frombuffer(Chimes(tmp_path).sound("tone", RATE), "<i2").astype(float)
    assert len(sound) == RATE
    assert int(np.abs(np.fft.rfft(sound)).argmax()) == 440


def test_problems_of_unusable_files(tmp_path):
    write(tmp_path / "deep.wav", bytes(2400), width=1)
    write(tmp_path / "long.wav", bytes(int((MAX_CHIME_S + 1) * 8000 * 2)), rate=8000)
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    problems = dict(Chimes(tmp_path).problems())
    assert set(problems) == {"deep", "long", "text", "empty"}
    assert "8 bit" in problems["deep"]
    assert "11 s long" in problems["long"]


@pytest.mark.parametrize(("name", "instead"), [("alarm", "alarm"), ("cuckoo", "attention")])
def test_vanished_file_falls_back_and_is_retried(tmp_path, name, instead, caplog):
    own, file = np.arange(2400, dtype="<i2").tobytes(), tmp_path / f"{name}.wav"
    write(file, own)
    chimes = Chimes(tmp_path)
    for _ in range(2):
        file.unlink()
        for rate in (RATE, RATE, 44100):
            assert chimes.sound(name, rate) == Chimes().sound(instead, rate)
            assert not chimes.is_loaded(name, rate)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert str(file) in caplog.text
        caplog.clear()
        write(file, own)
        assert chimes.sound(name, RATE) == own
        chimes._sounds.clear()


def test_odd_names_links_and_pipes_are_ignored(tmp_path):
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
