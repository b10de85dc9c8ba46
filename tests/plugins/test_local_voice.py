"""The local voice: real espeak-ng in real child processes."""

import array
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio

from edgevoice.announcement import Urgency
from edgevoice.config.options import Lightning
from edgevoice.errors import TransportError
from edgevoice.plugin import Context, NoOptions, SpeechRequest
from edgevoice_plugins.local_voice.pool import MOST, VoicePool
from edgevoice_plugins.local_voice.transport import LocalVoice
from edgevoice_plugins.local_voice.voices import LANGUAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCE = "Please open the kitchen window."
LETTERS = 26
LONG = "Later that evening, everybody walked home along the quiet river. " * 120


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def voice():
    async with VoicePool() as pool:
        yield pool


@pytest_asyncio.fixture(loop_scope="module")
async def fresh():
    async with VoicePool() as pool:
        yield pool


async def said(pool, text, **keys):
    """The audio, chunk by chunk, and the words."""
    parts = [part async for part in pool.speak(text, **{"rate": 24000} | keys)]
    chunks = [part for part in parts if isinstance(part, bytes)]
    return chunks, [part for part in parts if not isinstance(part, bytes)]


def seconds(chunks, rate=24000):
    return sum(map(len, chunks)) / 2 / rate


def pitch(chunks, rate=24000):
    """Hz: the median of its loud windows of 50 ms, by autocorrelation."""
    samples = np.frombuffer(b"".join(chunks), "<i2").astype(float)
    windows = samples[: len(samples) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    found = []
    for window in windows[np.abs(windows).mean(axis=1) > np.abs(samples).mean()]:
        likeness = np.correlate(window, window, "full")[len(window) :]
        found.append(rate / (1 + rate // 350 + np.argmax(likeness[rate // 350 : rate // 70])))
    return float(np.median(found))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of another process there is no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
async def test_speech_lasts_as_long_at_every_rate_and_comes_in_short_chunks_of_whole_samples(voice, rate):
    chunks, _ = await said(voice, SENTENCE, rate=rate)
    assert 0.042 * LETTERS < seconds(chunks, rate) < 0.105 * LETTERS
    assert all(len(chunk) % 2 == 0 for chunk in chunks)
    assert {len(chunk) for chunk in chunks[:-1]} == {rate // 33 * 2}
    loudest = max(map(abs, array.array("h", b"".join(chunks))))
    assert 5000 < loudest <= 32767


async def test_twice_the_speed_takes_half_the_time(voice):
    normal, fast, slow = [seconds((await said(voice, SENTENCE, speed=speed))[0]) for speed in (1, 2, 0.5)]
    assert fast == pytest.approx(normal / 2, rel=0.1)
    assert slow == pytest.approx(normal * 2, rel=0.1)


@pytest.mark.parametrize("language", [*LANGUAGES, "auto", "en-gb", "en_US", "pt-BR", "xx", "", None, "+../x"])
async def test_every_language_is_spoken_and_an_unknown_one_as_english(voice, language):
    chunks, _ = await said(voice, "Alarm 12", language=language)
    assert seconds(chunks) > 0.4


async def test_women_and_men_sound_different_and_unknown_voices_are_the_plain_one(voice):
    for name in ("sophia", "meher", "olivia", "rachel"):
        assert pitch((await said(voice, SENTENCE, voice=name))[0]) > 160, name
    for name in ("magnus", "daniel", "no-such-voice", "voice_x+f3", ""):
        assert pitch((await said(voice, SENTENCE, voice=name))[0]) < 150, name


async def test_words_are_told_as_they_stand_in_the_text_with_rising_times(voice):
    text = "Café naïve: it's 5% at 12:30.\nThe “end” – really."
    chunks, words = await said(voice, text)
    assert [word.word for word in words] == [word for word in text.split() if word != "–"]
    assert [word.index for word in words] == list(range(len(words)))
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] == 0
    assert times[-1] == pytest.approx(seconds(chunks), abs=0.01)


async def test_a_text_that_goes_on_ends_with_the_pause_of_its_sentence(voice):
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
async def test_any_text_is_spoken_and_does_the_child_no_harm(voice, text):
    before = set(voice.pids)
    chunks, _ = await said(voice, text)
    assert chunks
    await said(voice, SENTENCE)
    assert before <= set(voice.pids)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", "()", "\0", "\u200b", "- – -"])
async def test_a_text_that_says_nothing_gives_no_audio_at_all(voice, text):
    assert await said(voice, text) == ([], [])


async def test_closing_it_early_stops_the_speech_and_leaves_the_child_usable(fresh):
    for _ in range(5):
        async with aclosing(fresh.speak(LONG, rate=44100)) as speech:
            await anext(speech)
        chunks, _ = await said(fresh, SENTENCE)
        assert 0.042 * LETTERS < seconds(chunks) < 0.105 * LETTERS
    assert len(fresh.pids) == 1


async def test_being_cancelled_at_any_moment_leaves_the_next_speech_whole(fresh):
    for after in range(12):
        task = asyncio.create_task(said(fresh, LONG, rate=44100))
        await asyncio.sleep(after / 400)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        chunks, _ = await said(fresh, SENTENCE)
        assert 0.042 * LETTERS < seconds(chunks) < 0.105 * LETTERS


async def test_many_at_once_are_all_spoken_by_few_children(fresh):
    texts = [SENTENCE * (1 + number % 3) for number in range(20)]
    lengths = [seconds(chunks) for chunks, _ in await asyncio.gather(*(said(fresh, text) for text in texts))]
    for text, length in zip(texts, lengths, strict=True):
        assert length == pytest.approx(lengths[0] * len(text) / len(SENTENCE), rel=0.35)
    assert len(fresh.pids) <= MOST


async def test_a_slow_listener_does_not_keep_another_waiting(fresh):
    async with aclosing(fresh.speak(LONG, rate=44100)) as slow:
        await anext(slow)
        chunks, _ = await said(fresh, SENTENCE)
        assert chunks
        assert len(fresh.pids) == 2
        rest = [part async for part in slow]
    assert len(rest) > 1000


async def test_a_child_killed_in_mid_speech_fails_that_speech_and_the_next_one_works(fresh):
    async with aclosing(fresh.speak(LONG, rate=44100)) as speech:
        await anext(speech)
        killed = fresh.pids[0]
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(TransportError, match="process ended"):
            _ = [part async for part in speech]
    chunks, _ = await said(fresh, SENTENCE)
    assert 0.042 * LETTERS < seconds(chunks) < 0.105 * LETTERS
    assert killed not in fresh.pids


async def test_a_child_killed_while_idle_is_replaced_unnoticed(fresh):
    await said(fresh, SENTENCE)
    killed = fresh.pids[0]
    os.kill(killed, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(killed) or psutil.Process(killed).status() == "zombie")
    chunks, _ = await said(fresh, SENTENCE)
    assert chunks
    assert killed not in fresh.pids


async def test_a_stuck_child_is_killed_and_the_next_one_works(fresh, monkeypatch):
    monkeypatch.setattr("edgevoice_plugins.local_voice.process.STALL", 0.5)
    await said(fresh, SENTENCE)
    os.kill(fresh.pids[0], signal.SIGSTOP)
    with pytest.raises(TransportError, match="gave nothing"):
        await said(fresh, SENTENCE)
    assert (await said(fresh, SENTENCE))[0]


async def test_nothing_is_started_before_it_is_needed_and_nothing_is_left_behind():
    async with VoicePool() as pool:
        assert pool.pids == []
        await said(pool, SENTENCE)
        async with aclosing(pool.speak(LONG, rate=44100)) as speech:
            await anext(speech)
            children = [psutil.Process(pid) for pid in pool.pids]
    assert children
    assert not any(child.is_running() for child in children)


async def test_an_idle_child_does_not_run(fresh):
    await said(fresh, SENTENCE)
    child = psutil.Process(fresh.pids[0])
    await until(lambda: child.status() == psutil.STATUS_SLEEPING)
    before = child.num_ctx_switches()
    await asyncio.sleep(0.5)
    assert child.num_ctx_switches() == before


@pytest.mark.parametrize("doing", ["idle", "speaking"])
async def test_the_child_ends_with_its_parent_even_if_that_is_killed(doing):
    script = f"""
import asyncio
from edgevoice_plugins.local_voice.pool import VoicePool
async def main():
    async with VoicePool() as pool:
        speech = pool.speak({LONG!r} if {doing!r} == "speaking" else "Hello", rate=44100)
        await anext(speech)
        if {doing!r} == "idle":
            async for _ in speech: pass
        print(pool.pids[0], flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.communicate()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_neither_the_library_nor_the_resampler_is_ever_loaded_in_the_parent():
    script = """
import asyncio, sys
from edgevoice_plugins.local_voice.pool import VoicePool
from edgevoice_plugins.local_voice import edgevoice_register, transport
async def main():
    async with VoicePool() as pool:
        print(sum([len(part) async for part in pool.speak("Hello", rate=24000) if isinstance(part, bytes)]))
asyncio.run(main())
print(sorted({"espeakng_loader", "numpy", "soxr", "ctypes.util"} & set(sys.modules)))
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    length, loaded = done.stdout.splitlines()
    assert int(length) > 10000
    assert loaded == "[]"


async def test_without_the_library_it_says_what_to_install():
    script = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from edgevoice_plugins.local_voice.transport import LocalVoice; print(LocalVoice.missing())"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == 'needs espeakng-loader: pip install "edgevoice[local]"'
    assert LocalVoice.missing() is None


async def test_a_child_that_cannot_load_its_data_says_why(tmp_path, monkeypatch):
    (tmp_path / "espeakng_loader.py").write_text(
        f"def get_data_path(): return '/{'x' * 200}'\ndef get_library_path(): return ''\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    async with VoicePool() as pool:
        for _ in range(2):
            with pytest.raises(TransportError, match="longer than 159 bytes"):
                await said(pool, SENTENCE)
        assert pool.pids == []


@contextlib.asynccontextmanager
async def transport(**lightning):
    context = Context(
        node="n",
        state_dir=Path("/nonexistent"),
        speakers=(),
        targets=frozenset(),
        lightning=Lightning(**lightning),
        api_key=None,
        session=lambda: None,
        fault=lambda _part, _what: None,
        stuck=list,
        ready=asyncio.Event(),
    )
    async with LocalVoice(context, NoOptions()) as local:
        yield local


def request(text, **keys):
    return SpeechRequest(id="a1", text=text, **{"sample_rate": 24000, "urgency": Urgency.NORMAL} | keys)


async def test_the_transport_speaks_as_the_request_says_and_else_as_configured():
    async with transport(voice="sophia", speed=2.0, language="xx") as local:
        assert not local.metered
        configured = [part async for part in local.synthesize(request(SENTENCE))]
        asked = request(SENTENCE, voice="magnus", speed=0.5, language="en", sample_rate=48000)
        told = [part async for part in local.synthesize(asked)]
    assert pitch(configured) > 160
    assert pitch(told, 48000) < 150
    assert seconds(told, 48000) > 2 * seconds(configured)


async def test_the_transport_fails_where_nothing_can_be_spoken():
    async with transport() as local:
        for text in ("...", "", None):
            with pytest.raises(TransportError, match="nothing in this text"):
                _ = [part async for part in local.synthesize(request(text))]
