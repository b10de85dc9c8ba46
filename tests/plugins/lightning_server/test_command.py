"""`edgevoice lightning-server` as a process of its own."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager

import aiohttp
import psutil
import pytest

from tests.support.speech_socket import connected

RUN = "from edgevoice_plugins.lightning_server.command import lightning_server; lightning_server()"
BODY = {"text": "Please open the kitchen window.", "voice_id": "magnus"}


async def started(*arguments, before=""):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", before + RUN, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(*arguments, by=signal.SIGTERM):
    """The server's URL; afterwards it has to end well, silently, and without leaving a child."""
    process = await started(*arguments)
    url = (await process.stdout.readline()).decode().strip()
    children = []
    try:
        yield url
        children = psutil.Process(process.pid).children()
    finally:
        process.send_signal(by)
        rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")
    assert not any(child.is_running() for child in children)


async def ended(*arguments, **keys):
    process = await started(*arguments, **keys)
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_serves_until_signal(by):
    async with running(by=by) as url, aiohttp.ClientSession() as session:
        assert url.startswith("http://127.0.0.1:")
        async with session.post(f"{url}/waves/v1/tts", json=BODY) as reply:
            assert reply.status == 200
            assert len(await reply.read()) > 44100


async def test_ends_while_clients_are_connected():
    async with running() as url, aiohttp.ClientSession() as session:
        idle = await session.ws_connect(f"{url}/waves/v1/tts/live")
        async with connected(url) as client:
            await client.send("Later that evening, everybody walked home. " * 180, sample_rate=44100)
            await client.frame()
        assert not idle.closed


async def test_limit_and_key_options(tmp_path):
    key = tmp_path / "key"
    key.write_text("sk_right\n")
    headers = {"Authorization": "Bearer sk_right"}
    async with (
        running("--max-chars", "250", "--api-key-file", str(key)) as url,
        aiohttp.ClientSession(f"{url}/") as session,
    ):
        async with session.post("waves/v1/tts", json=BODY) as reply:
            assert reply.status == 401
        for text, status in (("x " * 125, 200), ("x " * 126, 400)):
            async with session.post("waves/v1/tts", json=BODY | {"text": text}, headers=headers) as reply:
                assert reply.status == status


async def test_allow_host_option():
    async with running("--allow-host", "nas.local") as url, aiohttp.ClientSession() as session:
        for host, status in {"nas.local": 200, "evil.example": 403}.items():
            headers = {"Host": host}
            async with session.post(f"{url}/waves/v1/tts", json=BODY, headers=headers) as reply:
                assert reply.status == status


async def test_host_and_port_options():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, errors = await ended("--port", port)
        assert status == 1
        assert f"cannot listen on 127.0.0.1 port {port}" in errors
    async with running("--port", port, "--host", "::1") as url:
        assert url == f"http://[::1]:{port}"
        async with connected(url) as client:
            await client.send("Hello.")
            await client.until("complete")


async def test_bad_key_file_is_usage_error(tmp_path):
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("missing", "empty", "binary"):
        status, errors = await ended("--api-key-file", str(tmp_path / name))
        assert status == 2
        assert name in errors


async def test_missing_library_says_what_to_install():
    status, errors = await ended(before="import sys; sys.modules['espeakng_loader'] = None; ")
    assert status == 2
    assert 'pip install "edgevoice[local]"' in errors


@pytest.mark.parametrize("arguments", [("--max-chars", "0"), ("--port", "65536"), ("--nonsense",)])
async def test_bad_argument_is_usage_error(arguments):
    status, errors = await ended(*arguments)
    assert status == 2
    assert arguments[0] in errors


async def test_environment_key_is_ignored(monkeypatch):
    monkeypatch.setitem(os.environ, "SMALLEST_API_KEY", "sk_of_the_user")
    async with running() as url, aiohttp.request("POST", f"{url}/waves/v1/tts", json=BODY) as reply:
        assert reply.status == 200
