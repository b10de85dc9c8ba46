"""The transports over TLS: sessions are resumed, certificates verified, and nothing stays open."""

import asyncio
import gc
import ssl

import pytest

from edgevoice.errors import TransportError
from tests.support.front import Front, certified
from tests.support.lightning import LightningServer
from tests.support.transports import KINDS, opened, opened_together, request, said, said_until

TEXT = "d700z The first sentence."
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """The folder of a certificate that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return tmp_path


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KINDS)
async def test_the_second_connection_resumes_the_session_of_the_first(server, trusted, name, version):
    async with Front(server.url, certified(trusted, version)) as front, opened(name, front.url) as transport:
        for number in range(3):
            assert await said(transport, TEXT) == server.expected(TEXT)
            seen = len(front.passages)
            front.drop()
            await front.until(lambda seen=seen: len(front.passages) > seen)
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
        resumed = [passage.resumed for passage in front.passages]
    assert resumed == [False] + [True] * (len(resumed) - 1)


async def test_one_transport_resumes_the_session_of_another(server, trusted):
    async with Front(server.url, certified(trusted)) as front:
        async with opened_together(front.url, *KINDS, ready=False) as transports:
            for transport in transports.values():
                assert await said(transport, TEXT) == server.expected(TEXT)
        assert [passage.resumed for passage in front.passages] == [False, True]


@pytest.mark.parametrize("name", KINDS)
async def test_a_certificate_of_a_stranger_is_refused(server, tmp_path, name):
    async with Front(server.url, certified(tmp_path)) as front, opened(name, front.url) as transport:
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, TransportError)
    assert "no trusted TLS connection" in str(error)
    assert server.requests == []


@pytest.mark.parametrize("name", KINDS)
async def test_nothing_stays_open_behind(server, trusted, name):
    async with Front(server.url, certified(trusted)) as front:
        async with opened(name, front.url) as transport:
            await said(transport, TEXT)
            async with asyncio.timeout(5):
                while not transport.is_warm:
                    await asyncio.sleep(0.01)
        await front.until(lambda: not front.open)
        gc.collect()  # would raise what was left unclosed
