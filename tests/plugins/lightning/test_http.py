"""The bodies that the transport `http` accepts as speech, and those it must not play."""

import struct

import pytest

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.audio import write_wav
from tests.support.lightning import Fault, LightningServer
from tests.support.transports import opened, request, said, said_until

TEXT = "d700z The first sentence. d1300z And the second one."


@pytest.fixture
async def server():
    async with LightningServer() as server:
        yield server


def resized(riff, data):
    def make(pcm, rate):
        body = bytearray(write_wav(pcm, rate))
        struct.pack_into("<I", body, 4, riff)
        struct.pack_into("<I", body, 40, data)
        return bytes(body)

    return make


def with_chunks(pcm, rate):
    body = write_wav(pcm, rate)
    info = b"LIST" + struct.pack("<I", 9) + b"INFOabcde\0"
    return body[:36] + info + body[36:] + info


def extensible(pcm, rate):
    fields = struct.pack("<HHIIHHHHI", 0xFFFE, 1, rate, rate * 2, 2, 16, 22, 16, 4) + b"\1" + bytes(15)
    body = b"WAVEfmt " + struct.pack("<I", len(fields)) + fields + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", len(body)) + body


GOOD = {
    "true sizes": write_wav,
    "sizes that were unknown": resized(0xFFFFFFFF, 0xFFFFFFFF),
    "sizes of zero": resized(0, 0),
    "sizes that are too small": resized(36, 1000),
    "sizes that are too large": resized(10**8, 10**8),
    "other chunks before and after": with_chunks,
    "an extensible format": extensible,
}


@pytest.mark.parametrize("kind", GOOD)
async def test_wav_with_wrong_sizes_is_read(server, kind):
    server.plan(Fault(make=GOOD[kind]), on="http")
    async with opened("http", server.url) as transport:
        assert await said(transport, TEXT) == server.expected(TEXT)


@pytest.mark.parametrize("kind", [k for k in GOOD if k != "true sizes"])
async def test_wav_instead_of_pcm_is_read(server, kind):
    server.plan(Fault(make=GOOD[kind]), on="http")
    async with opened("http", server.url, output_format="pcm") as transport:
        assert await said(transport, TEXT) == server.expected(TEXT)


async def test_pcm_is_read_if_requested(server):
    async with opened("http", server.url, output_format="pcm") as transport:
        assert await said(transport, TEXT) == server.expected(TEXT)
    assert server.requests[0].body["output_format"] == "pcm"


def formatted(tag=1, channels=1, bits=16, rate=None):
    def make(pcm, asked):
        body = bytearray(write_wav(pcm, asked))
        struct.pack_into("<HHI", body, 20, tag, channels, rate or asked)
        struct.pack_into("<H", body, 34, bits)
        return bytes(body)

    return make


BAD = {
    "another rate": (formatted(rate=22050), "22050 Hz; asked for 24000"),
    "stereo": (formatted(channels=2), "2 channels"),
    "eight bits": (formatted(bits=8), "8 bit"),
    "floats": (formatted(tag=3), "format 3"),
    "an odd number of bytes": (lambda pcm, rate: write_wav(pcm[:-1], rate), "odd number"),
    "only a header": (lambda _pcm, rate: write_wav(b"", rate), "no audio"),
    "half a header": (lambda pcm, rate: write_wav(pcm, rate)[:30], "WAV"),
    "no format": (lambda pcm, _rate: b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + pcm, "without a format"),
    "MP3": (lambda pcm, _rate: b"ID3\4" + pcm, "MP3"),
    "bare samples": (lambda pcm, _rate: pcm, "without a WAV header"),
    "HTML": (lambda _pcm, _rate: b"\n<html><body>Sorry</body></html>", "<html>"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_invalid_wav_is_error(server, kind):
    make, said_why = BAD[kind]
    server.plan(Fault(make=make), on="http")
    async with opened("http", server.url) as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == b""
    assert isinstance(error, TransportError)
    assert said_why in str(error)


@pytest.mark.parametrize("kind", ["MP3", "HTML"])
async def test_not_audio_is_error(server, kind):
    server.plan(Fault(make=BAD[kind][0]), on="http")
    async with opened("http", server.url, output_format="pcm") as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == b""
    assert isinstance(error, TransportError)


async def test_odd_pcm_is_error(server):
    server.plan(Fault(short=True), on="http")
    async with opened("http", server.url, output_format="pcm") as transport:
        heard, error = await said_until(transport, request(TEXT))
    assert heard == b""
    assert "odd number" in str(error)
