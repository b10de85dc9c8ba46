"""A Lightning-compatible server with the real local voice for the tests of one module, and its clients."""

import aiohttp
import pytest
import pytest_asyncio

from edgevoice_plugins.lightning.protocol.request import PATH_WHOLE
from edgevoice_plugins.lightning_server.app import serve
from edgevoice_plugins.local_voice.pool import VoicePool
from tests.support.local_voice import SENTENCE
from tests.support.speech_socket import connected


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def voice():
    async with VoicePool() as voice:
        yield voice


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url(voice):
    async with serve(voice) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def post(session, url):
    """Post a request with a text and a voice, unless the keys say otherwise; None leaves a key out."""

    async def post(path=PATH_WHOLE, headers=None, **keys):
        body = {"text": SENTENCE, "voice_id": "magnus", "sample_rate": 24000} | keys
        body = {key: value for key, value in body.items() if value is not None}
        async with session.post(url + path, json=body, headers=headers) as reply:
            return reply.status, reply.headers, await reply.read()

    return post


@pytest_asyncio.fixture(loop_scope="module")
async def client(url):
    async with connected(url) as client:
        yield client
