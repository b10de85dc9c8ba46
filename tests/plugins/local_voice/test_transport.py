"""The local voice: real espeak-ng in a real child process."""

import array
import contextlib
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from edgevoice.announcement import Urgency
from edgevoice.errors import TransportError
from edgevoice.plugin import NoOptions, Role, SpeechOptions, SpeechRequest
from edgevoice.testing import context
from edgevoice_plugins.local_voice.pool import VoicePool
from edgevoice_plugins.local_voice.transport import LocalVoice
from edgevoice_plugins.local_voice.voices import LANGUAGES
from tests.support.local_voice import LETTERS, SENTENCE, said, seconds

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def voice():
    async with VoicePool() as pool:
        yield pool


def pitch(chunks, rate=24000):
    """Hz: the median of its loud windows of 50 ms, by autocorrelation."""
    samples = np.frombuffer(b"".join(chunks), "<i2").astype(float)
    windows = samples[: len(samples) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    found = []
    for window in windows[np.abs(windows).mean(axis=1) > np.abs(samples).mean()]:
        likeness = np.correlate(window, window, "full")[len(window) :]
        found.append(rate / (1 + rate // 350 + np.argmax(likeness[rate // 350 : rate // 70])))
    return float(np.median(found))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
async def test_duration_same_at_each_rate(voice, rate):
    chunks, _ = await said(voice, SENTENCE, rate=rate)
    assert 0.042 * LETTERS < seconds(chunks, rate) < 0.105 * LETTERS
    assert all(len(chunk) % 2 == 0 for chunk in chunks)
    assert {len(chunk) for chunk in chunks[:-1]} == {rate // 33 * 2}
    loudest = max(map(abs, array.array("h", b"".join(chunks))))
    assert 5000 < loudest <= 32767


async def test_double_speed_halves_duration(voice):
    normal, fast, slow = [seconds((await said(voice, SENTENCE, speed=speed))[0]) for speed in (1, 2, 0.5)]
    assert fast == pytest.approx(normal / 2, rel=0.1)
    assert slow == pytest.approx(normal * 2, rel=0.1)


@pytest.mark.parametrize("language", [*LANGUAGES, "auto", "en-gb", "en_US", "pt-BR", "xx", "", None, "+../x"])
async def test_each_language_is_spoken(voice, language):
    chunks, _ = await said(voice, "Alarm 12", language=language)
    assert seconds(chunks) > 0.4


async def test_voices_differ_by_gender(voice):
    for name in ("sophia", "meher", "olivia", "rachel"):
        assert pitch((await said(voice, SENTENCE, voice=name))[0]) > 160, name
    for name in ("magnus", "daniel", "no-such-voice", "voice_x+f3", ""):
        assert pitch((await said(voice, SENTENCE, voice=name))[0]) < 150, name


async def test_word_marks_follow_text(voice):
    text = "Café naïve: it's 5% at 12:30.\nThe “end” – really."
    chunks, words = await said(voice, text)
    assert [word.word for word in words] == [word for word in text.split() if word != "–"]
    assert [word.index for word in words] == list(range(len(words)))
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] == 0
    assert times[-1] == pytest.approx(seconds(chunks), abs=0.01)


async def test_trailing_space_keeps_sentence_pause(voice):
    last, goes_on = [seconds((await said(voice, text))[0]) for text in ("It is done.", "It is done. ")]
    assert goes_on > last + 0.2


@pytest.mark.parametrize(
    "text",
    [
        "one\0two",
        "\x01\x02 three \x7f\x9b",
        "a \ud800 b",
        "🔥 fire 🚒",
        "<speak>bold</speak> & <break time='9s'/>",
        "[[h@l'oU]] %s %n",
        "x" * 8000,
        "word\n" * 1500,
        "क्षत्रिय देवनागरी",
        "e\u0301" * 500,
        "!?",
    ],
    ids=lambda text: ascii(text[:12]),
)
async def test_any_text_leaves_child_usable(voice, text):
    before = set(voice.pids)
    chunks, _ = await said(voice, text)
    assert chunks
    await said(voice, SENTENCE)
    assert before <= set(voice.pids)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", "()", "\0", "\u200b", "- – -"])
async def test_text_without_words_has_no_audio(voice, text):
    assert await said(voice, text) == ([], [])


@contextlib.asynccontextmanager
async def transport(**lightning):
    given = context(Path("/nonexistent"), speech=SpeechOptions(**lightning))
    async with LocalVoice(given, NoOptions()) as local:
        yield local


def request(text, **keys):
    return SpeechRequest(id="a1", text=text, **{"sample_rate": 24000, "urgency": Urgency.NORMAL} | keys)


async def test_request_overrides_configuration():
    async with transport(voice="sophia") as local:
        assert local.account is None
        assert local.role is Role.FALLBACK
        configured = [part async for part in local.synthesize(request(SENTENCE, speed=2.0, language="xx"))]
        asked = request(SENTENCE, voice="magnus", speed=0.5, language="en", sample_rate=48000)
        told = [part async for part in local.synthesize(asked)]
    assert pitch(configured) > 160
    assert pitch(told, 48000) < 150
    assert seconds(told, 48000) > 2 * seconds(configured)


async def test_text_without_words_is_error():
    async with transport() as local:
        for text in ("...", "", None):
            with pytest.raises(TransportError):
                _ = [part async for part in local.synthesize(request(text))]
