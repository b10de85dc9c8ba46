"""The vendor's client against the local server, over plain HTTP: `over_http.py URL KEY`."""

import asyncio
import io
import wave

from judgement import LONG, SHORT, api_key, assert_speech, environment, refused, run
from smallestai import AsyncSmallestAI, SmallestAI
from smallestai.waves.errors import BadRequestError, UnauthorizedError
from smallestai.waves.helpers import synthesize_bytes

client = SmallestAI(api_key=api_key(), environment=environment(), max_retries=0)


def speech(**keys):
    return b"".join(client.waves.synthesize_tts(**{"text": SHORT, "voice_id": "magnus"} | keys))


def defaults():
    assert_speech(speech(), 44100, SHORT)


def rates_and_models():
    for rate in (8000, 16000, 24000, 44100):
        for model in ("lightning_v3.1", "lightning_v3.1_pro"):
            assert_speech(speech(sample_rate=rate, model=model, voice_id="meher"), rate, SHORT)


def speeds():
    for speed in (0.5, 2.0):
        assert_speech(speech(text=LONG, sample_rate=16000, speed=speed), 16000, LONG, speed)


def wav_files():
    for body in (
        speech(sample_rate=24000, output_format="wav"),
        synthesize_bytes(client, SHORT, voice_id="magnus", sample_rate=24000),
    ):
        with wave.open(io.BytesIO(body)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24000)
            assert_speech(file.readframes(file.getnframes()), 24000, SHORT)


def companded():
    samples = len(speech(sample_rate=8000)) // 2
    for name in ("ulaw", "alaw"):
        body = speech(sample_rate=8000, output_format=name)
        assert abs(len(body) - samples) < samples // 20
        assert len(set(body)) > 100


def refusals():
    bad = ({"text": ""}, {"output_format": "ogg"}, {"sample_rate": 1}, {"text": "word " * 51})
    for keys in bad:
        error = refused(BadRequestError, lambda keys=keys: speech(**keys))
        assert error.body["message"], keys


def wrong_key():
    other = SmallestAI(api_key="sk_wrong", environment=environment(), max_retries=0)
    error = refused(
        UnauthorizedError, lambda: b"".join(other.waves.synthesize_tts(text=SHORT, voice_id="magnus"))
    )
    assert error.body["error"] == "Unauthorized"


def voices():
    listed = client.waves.get_voices("lightning-v3.1").voices
    assert {"magnus", "sophia"} <= {voice.voice_id for voice in listed}
    assert all(voice.display_name for voice in listed)
    assert len(client.waves.voices.get_all_voice_models().voices) > len(listed)


def many_at_once():
    async def all_of_them():
        several = AsyncSmallestAI(api_key=api_key(), environment=environment(), max_retries=0)

        async def one(text):
            stream = several.waves.synthesize_tts(text=text, voice_id="magnus", sample_rate=16000)
            assert_speech(b"".join([part async for part in stream]), 16000, text)

        await asyncio.gather(*(one(text) for text in (SHORT, LONG, SHORT, LONG)))

    asyncio.run(all_of_them())


run(defaults, rates_and_models, speeds, wav_files, companded, refusals, wrong_key, voices, many_at_once)
