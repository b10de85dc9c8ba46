"""Refusals of the Lightning-compatible server over HTTP, and their messages."""

import json

import pytest
import pytest_asyncio

from edgevoice_plugins.lightning.protocol.request import PATH_LIVE, PATH_WHOLE
from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.lightning_server.limits import ServerLimits
from edgevoice_plugins.local_voice.pool import VoicePool
from tests.support.local_voice import SENTENCE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def short(voice):
    async with serve(voice, limits=ServerLimits(max_chars=250)) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def locked(voice):
    async with serve(voice, api_key="sk_right") as url:
        yield url


@pytest.mark.parametrize("path", [PATH_WHOLE, PATH_LIVE])
@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": None}, "text"),
        ({"text": 5}, "text"),
        ({"voice_id": None}, "voice_id"),
        ({"sample_rate": 12345}, "8000, 16000, 24000, 44100"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"speed": 3}, "speed"),
        ({"output_format": "ogg"}, "pcm, wav, mp3, ulaw, alaw"),
        ({"model": "lightning_v9"}, "lightning_v3.1, lightning_v3.1_pro"),
        ({"request_id": "a b"}, "request_id"),
        ({"session_id": "x" * 129}, "session_id"),
    ],
    ids=str,
)
async def test_bad_field_is_named(post, path, keys, named):
    status, headers, body = await post(path, **keys)
    assert (status, headers["Content-Type"]) == (400, "application/json")
    refusal = json.loads(body)
    assert refusal["error"] == "InvalidRequest"
    assert named in refusal["message"]


async def test_mp3_is_refused(post):
    status, _, body = await post(output_format="mp3")
    assert status == 400
    assert "pcm, wav, ulaw or alaw" in json.loads(body)["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe{}", b"[" * 60000, b'{"text": NaN}', b"null"]
)
async def test_body_not_object_is_refused(session, url, body):
    for path in (PATH_WHOLE, PATH_LIVE):
        async with session.post(url + path, data=body) as reply:
            assert reply.status == 400
            assert (await reply.json())["error"] == "InvalidRequest"


async def test_oversized_body_is_refused(session, url):
    async with session.post(url + PATH_WHOLE, data=b"x" * 70000) as reply:
        assert reply.status == 413
        assert (await reply.json()).keys() == {"error", "message"}


async def test_too_long_text_names_limit(session, short):
    for length, status in ((250, 200), (251, 400)):
        for path in (PATH_WHOLE, PATH_LIVE):
            text = ("word " * 60)[:length]
            async with session.post(short + path, json={"text": text, "voice_id": "magnus"}) as reply:
                assert reply.status == status
                if status == 400:
                    assert "250" in (await reply.json())["message"]


@pytest.mark.parametrize(
    "model", ["lightning-v2", "lightning_v2", "lightning-large", "lightning", "lightning_v3"]
)
async def test_retired_model_names_successor(post, session, url, model):
    answers = [
        await post(PATH_WHOLE, model=model),
        await post(PATH_LIVE, model=model),
        await post(f"/waves/v1/{model.replace('_', '-')}/get_speech"),
        await post(f"/api/v1/{model.replace('_', '-')}/stream"),
        await post(f"/waves/v1/{model.replace('_', '-')}/anything/else"),
    ]
    for path in ("get_voices", "get_speech/stream"):
        async with session.get(f"{url}/waves/v1/{model.replace('_', '-')}/{path}") as reply:
            answers.append((reply.status, reply.headers, await reply.read()))
    for status, _, body in answers:
        refusal = json.loads(body)
        assert status == 410
        assert (refusal["status"], refusal["error_code"]) == ("error", "MODEL_DEPRECATED")
        assert refusal["recommended_endpoint"] == PATH_WHOLE
        assert "'lightning_v3.1'" in refusal["message"]


async def test_key_is_required(session, locked):
    body = {"text": SENTENCE, "voice_id": "magnus"}
    tries = {"Bearer sk_right": 200, "bearer sk_right": 200, "Bearer sk_wrong": 401, "sk_right": 401, "": 401}
    for authorization, status in tries.items():
        headers = {"Authorization": authorization} if authorization else {}
        for path in (PATH_WHOLE, PATH_LIVE):
            async with session.post(locked + path, json=body, headers=headers) as reply:
                assert reply.status == status, authorization
                if status == 401:
                    refusal = await reply.json()
                    assert refusal["error"] == "Unauthorized"
                    assert "sk_right" not in str(refusal)
    async with session.get(f"{locked}/waves/v1/lightning-v3.1/get_voices") as reply:
        assert reply.status == 401
    async with session.post(f"{locked}{PATH_WHOLE}?token=sk_right", json=body) as reply:
        assert reply.status == 200


async def test_foreign_origin_is_refused(post, url):
    for origin, status in {
        url: 200,
        "http://evil.example": 403,
        "null": 403,
        f"{url}0": 403,
        "": 403,
    }.items():
        answer, _, body = await post(headers={"Origin": origin})
        assert answer == status, origin
        if status == 403:
            assert json.loads(body)["error"] == "Forbidden"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "voice.localhost", "127.0.0.1", "192.168.1.5:80", "[::1]:5"]
)
async def test_safe_host_is_served(post, host):
    status, _, _ = await post(headers={"Host": host})
    assert status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", ""],
)
async def test_rebound_host_is_refused(post, host):
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        status, _, body = await post(headers=headers)
        assert status == 403
        assert json.loads(body)["error"] == "Forbidden"


async def test_allowed_host_is_served(session):
    body = {"text": SENTENCE, "voice_id": "magnus"}
    async with VoicePool() as voice, serve(voice, allowed_hosts=["nas.local"]) as url:
        for host, status in {
            "nas.local": 200,
            "NAS.local:8080": 200,
            "nas.local.": 200,
            "other.local": 403,
        }.items():
            async with session.post(url + PATH_WHOLE, json=body, headers={"Host": host}) as reply:
                assert reply.status == status, host


async def test_unknown_route_is_json_error(session, url):
    for method, path, status in (
        ("GET", "/", 404),
        ("GET", PATH_WHOLE, 405),
        ("GET", PATH_LIVE, 426),
        ("PUT", PATH_LIVE, 405),
    ):
        async with session.request(method, url + path) as reply:
            assert reply.status == status
            assert (await reply.json()).keys() == {"error", "message"}
