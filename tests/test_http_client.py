"""The TLS context that resumes sessions, before a real server."""

import asyncio
import contextlib
import ssl

import pytest

from edgevoice.http_client import SessionResumingContext
from tests.support.front import certified

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@contextlib.asynccontextmanager
async def echoing(context):
    async def echo(reader, writer):
        with contextlib.suppress(OSError):
            writer.write(await reader.read(1))
            await reader.read(1)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def connected(port, context):
    """Whether a connection, over which a byte went to and fro, resumed a session."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    resumed = writer.get_extra_info("ssl_object").session_reused
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return resumed


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return tmp_path


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_connection_resumes_the_session_of_the_one_before(trusted, version):
    context = SessionResumingContext()
    async with echoing(certified(trusted, version)) as port:
        assert [await connected(port, context) for _ in range(4)] == [False, True, True, True]


async def test_a_connection_that_failed_does_not_cost_the_session(trusted):
    context = SessionResumingContext()
    async with echoing(certified(trusted)) as port:
        await connected(port, context)

        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as broken:
            with pytest.raises(ConnectionError):
                await connected(broken.sockets[0].getsockname()[1], context)
        assert await connected(port, context)


async def test_a_connection_without_a_ticket_does_not_cost_the_session(trusted):
    context, without = SessionResumingContext(), certified(trusted)
    without.num_tickets = 0
    async with echoing(certified(trusted)) as port, echoing(without) as other:
        await connected(port, context)
        assert not await connected(other, context)
        assert await connected(port, context)


async def test_a_server_that_forgot_the_session_gets_a_whole_handshake(trusted):
    context = SessionResumingContext()
    for _ in range(2):
        async with echoing(certified(trusted)) as port:
            assert not await connected(port, context)


async def test_certificates_are_verified(tmp_path, trusted):
    context = SessionResumingContext()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    async with echoing(certified(trusted)) as port:
        await connected(port, context)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    async with echoing(certified(stranger)) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connected(port, context)
