"""The transports over TLS: certificates are verified, and no connection stays open."""

import gc
import ssl

import pytest

from edgevoice.errors import TransportError
from tests.support.front import Front, certified
from tests.support.lightning import LightningServer
from tests.support.transports import KINDS, opened, request, said, said_until, warm

TEXT = "d700z The first sentence."
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


@pytest.fixture
def trusted(tmp_path):
    """The folder of a certificate that `trusting` trusts."""
    certified(tmp_path)
    return tmp_path


def trusting(folder):
    return ssl.create_default_context(cafile=folder / "cert.pem")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KINDS)
async def test_tls_speech_is_exact_over_one_connection(server, trusted, name, version):
    async with (
        Front(server.url, certified(trusted, version)) as front,
        opened(name, front.url, tls=trusting(trusted)) as transport,
    ):
        await warm(transport)
        for number in range(3):
            assert await said(transport, f"d90z {number}.") == server.expected(f"d90z {number}.")
        assert len(front.passages) == 1
        front.drop()
        await front.until(lambda: len(front.passages) == 2)
        await warm(transport)
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("name", KINDS)
async def test_tls_untrusted_certificate_is_refused(server, tmp_path, name):
    async with Front(server.url, certified(tmp_path)) as front, opened(name, front.url) as transport:
        _, error = await said_until(transport, request(TEXT))
    assert isinstance(error, TransportError)
    assert "no trusted TLS connection" in str(error)
    assert server.requests == []


@pytest.mark.parametrize("name", KINDS)
async def test_tls_exit_leaves_nothing_open(server, trusted, name):
    async with Front(server.url, certified(trusted)) as front:
        async with opened(name, front.url, tls=trusting(trusted)) as transport:
            await said(transport, TEXT)
            await warm(transport)
        await front.until(lambda: not front.open)
        gc.collect()  # would raise what was left unclosed
