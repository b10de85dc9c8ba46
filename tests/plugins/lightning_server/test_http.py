"""The Lightning-compatible server over plain HTTP and server-sent events, with the real local voice."""

import array
import asyncio
import base64
import io
import json
import struct
import uuid
import wave

import numpy as np
import pytest

from edgevoice_plugins.lightning.protocol.request import PATH_LIVE, PATH_WHOLE
from edgevoice_plugins.lightning_server.speech import encode
from edgevoice_plugins.local_voice.voices import LANGUAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEAST, MOST = 0.042 * 26, 0.105 * 26


def events(body):
    """The events of a stream: the name, or None without an event line, and the data."""
    found = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        *name, data = block.split("\n")
        assert len(name) <= 1
        assert data.startswith("data: ")
        found.append((name[0].removeprefix("event: ") if name else None, json.loads(data[6:])))
    return found


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, None])
async def test_pcm_at_each_rate_default_44100(post, rate):
    status, headers, body = await post(sample_rate=rate)
    assert (status, headers["Content-Type"]) == (200, "audio/wav")
    assert LEAST < len(body) / 2 / (rate or 44100) < MOST
    assert len(body) % 2 == 0
    assert max(map(abs, array.array("h", body))) > 5000


async def test_wav_at_requested_rate(post):
    _, headers, body = await post(output_format="wav", sample_rate=16000)
    with wave.open(io.BytesIO(body)) as file:
        assert file.getparams()[:3] == (1, 2, 16000)
        assert LEAST < file.getnframes() / 16000 < MOST
        assert len(file.readframes(10**9)) == len(body) - 44
    assert struct.unpack_from("<I", body, 4)[0] == len(body) - 8
    assert headers["Content-Type"] == "audio/wav"


@pytest.mark.parametrize("name", ["ulaw", "alaw"])
async def test_g711_is_a_byte_per_sample(post, name):
    _, _, body = await post(output_format=name, sample_rate=8000)
    assert LEAST < len(body) / 8000 < MOST


def ulaw_decoded(code):
    code = ~code & 0xFF
    size = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return 0x84 - size if code & 0x80 else size - 0x84


def alaw_decoded(code):
    code ^= 0x55
    segment, size = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = size + 8 if segment == 0 else (size + 0x108) << (segment - 1)
    return size if code & 0x80 else -size


@pytest.mark.parametrize(("name", "decoded"), [("ulaw", ulaw_decoded), ("alaw", alaw_decoded)])
async def test_g711_error_within_step(name, decoded):
    samples = np.arange(-32768, 32768)
    codes = encode(samples.astype("<i2").tobytes(), name, 8000)
    error = np.abs(np.array([decoded(code) for code in codes]) - samples)
    assert np.all(error <= np.maximum(8, (np.abs(samples) + 132) / 30))
    assert len(set(codes)) >= 255


async def test_ids_are_new_and_echoed(post):
    for path in (PATH_WHOLE, PATH_LIVE):
        _, given, _ = await post(path, session_id="sess-1.a", request_id="req_1-b")
        _, other, _ = await post(path)
        assert (given["X-External-Session-Id"], given["X-External-Request-Id"]) == ("sess-1.a", "req_1-b")
        assert (other["X-External-Session-Id"], other["X-External-Request-Id"]) == ("", "")
        ids = {headers[key] for headers in (given, other) for key in ("X-Session-Id", "X-Request-Id")}
        assert len({uuid.UUID(each) for each in ids}) == 4


async def test_speed(post):
    lengths = [len((await post(speed=speed))[2]) for speed in (0.5, 1, 2)]
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.1)
    assert lengths[2] == pytest.approx(lengths[1] / 2, rel=0.1)


@pytest.mark.parametrize(
    "keys",
    [
        {"model": "lightning_v3.1"},
        {"model": "lightning_v3.1_pro"},
        {"model": "lightning-v3.1"},
        {"voice_id": "meher"},
        {"voice_id": "voice_of_nobody"},
        {"language": "auto"},
        {"language": "xx"},
        {"pronunciation_dicts": ["d1"]},
        {"consistency": 0.5, "similarity": 0, "enhancement": 1, "add_wav_header": True},
        {"content_filter": {"enabled": True}, "math_notation": True, "unknown": {"a": [None]}},
        {"word_timestamps": True, "number_pronunciation_language": "en", "complete_backoff_ms": 0},
        {"headers": {"Accept": "text/plain", "x-expire-content": "true", "Authorization": "Bearer any"}},
    ],
    ids=str,
)
async def test_unknown_fields_are_ignored(post, keys):
    status, _, body = await post(**keys)
    assert status == 200
    assert LEAST < len(body) / 48000 < MOST


async def test_events_format(post):
    status, headers, body = await post(PATH_LIVE)
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    *chunks, last = events(body)
    assert last == (None, {"status": "200", "done": True})
    assert body.endswith(b'\n\ndata: {"status":"200","done":true}\n\n')
    assert {name for name, _ in chunks} == {"audio"}
    assert {(data["done"], data["status"]) for _, data in chunks} == {(False, "206")}
    parts = [base64.b64decode(data["audio"], validate=True) for _, data in chunks]
    assert all(part and len(part) % 2 == 0 for part in parts)
    assert LEAST < sum(map(len, parts)) / 48000 < MOST
    assert all(20 <= len(part) / 48 <= 40 for part in parts[:-1])


async def test_events_arrive_before_speech_is_complete(session, url):
    body = {"text": "Later on. " * 700, "voice_id": "magnus"}
    async with session.post(url + PATH_LIVE, json=body) as reply:
        first = await reply.content.readuntil(b"\n\n")
        assert first.startswith(b"event: audio\ndata: ")
        # What is unread waits at the server, which holds no more than its buffers.
        assert reply.content.total_bytes < 4 * 1024 * 1024


@pytest.mark.parametrize("prefix", ["/waves/v1", "/api/v1"])
@pytest.mark.parametrize("model", ["lightning-v3.1", "lightning-v3.1-pro"])
async def test_older_routes(post, prefix, model):
    for path in (f"{prefix}/tts", f"{prefix}/{model}/get_speech"):
        status, _, body = await post(path)
        assert status == 200
        assert LEAST < len(body) / 48000 < MOST
    for path in (f"{prefix}/tts/live", f"{prefix}/{model}/stream"):
        assert events((await post(path))[2])[-1] == (None, {"status": "200", "done": True})


async def test_voice_lists(session, url):
    pools = {}
    for model in ("lightning-v3.1", "lightning-v3.1-pro"):
        async with session.get(f"{url}/waves/v1/{model}/get_voices") as reply:
            pools[model] = (await reply.json())["voices"]
    v31, pro = ({voice["voiceId"] for voice in pool} for pool in pools.values())
    assert {"magnus", "sophia", "olivia", "daniel", "jordan", "rachel", "devansh"} <= v31
    assert {"meher", "kaitlyn", "rhea"} <= pro
    assert not v31 & pro
    for voice in (voice for pool in pools.values() for voice in pool):
        assert voice["displayName"]
        assert voice["tags"].keys() == {"language", "accent", "gender", "age", "emotions", "usecases"}
    assert pools["lightning-v3.1-pro"][0]["tags"]["language"] == list(LANGUAGES.values())
    assert len(pools["lightning-v3.1"][0]["tags"]["language"]) == 20
    async with session.get(f"{url}/waves/v1/voice/get-all-models") as reply:
        every = (await reply.json())["voices"]
    assert {voice["voiceId"] for voice in every} == v31 | pro
    assert all({"_id", "description", "audioPreview"} <= voice.keys() for voice in every)


async def test_pronunciation_dictionaries_are_empty(session, url):
    async with session.get(f"{url}/waves/v1/pronunciation-dicts") as reply:
        assert (reply.status, await reply.json()) == (200, [])


async def test_text_without_words_is_short_silence(post):
    _, _, body = await post(text="...")
    assert body == bytes(4800)
    chunk, last = events((await post(PATH_LIVE, text="..."))[2])
    assert base64.b64decode(chunk[1]["audio"]) == bytes(4800)
    assert last[1]["done"]


async def test_many_requests_at_once(post):
    answers = await asyncio.gather(*(post(path) for path in [PATH_WHOLE, PATH_LIVE] * 10))
    assert {status for status, _, _ in answers} == {200}
    assert all(LEAST < len(body) / 48000 < MOST for _, _, body in answers[::2])
