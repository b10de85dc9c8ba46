"""Chunks of samples, WAV files, also with wrong headers, and bytes that are not audio."""

import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgevoice.errors import TransportError
from edgevoice_plugins.lightning.protocol.audio import (
    PcmAssembler,
    decode_body,
    looks_like_text,
    read_wav,
    write_wav,
)

samples = st.binary(max_size=400).map(lambda data: data[: len(data) & ~1])


@given(st.lists(st.binary(max_size=60), max_size=40))
def test_pcm_assembler_any_split(pieces):
    assembler, data = PcmAssembler(8000, max_s=60), b"".join(pieces)
    fed = [assembler.feed(piece) for piece in pieces]
    assert all(len(pcm) % 2 == 0 for pcm in fed)
    assert b"".join(fed) == data[: len(data) & ~1]
    assert assembler.duration_s == len(data) // 2 / 8000


sizes = st.sampled_from([0, 1, 36, 44, 0x7FFFFFFF, 0xFFFFFFFF]) | st.integers(0, 2**32 - 1)


@given(st.binary(min_size=2, max_size=300).map(lambda data: data[: len(data) & ~1]), sizes)
def test_riff_size_is_ignored(pcm, riff):
    body = bytearray(write_wav(pcm, 24000))
    struct.pack_into("<I", body, 4, riff)
    assert read_wav(bytes(body), 24000) == pcm


@given(
    st.binary(min_size=2, max_size=300).map(lambda data: data[: len(data) & ~1]), st.integers(0, 2**32 - 1)
)
def test_wrong_data_size_loses_no_sample(pcm, size):
    pcm = bytes(value | 0x80 for value in pcm)  # no bytes that could be a chunk's name
    assume(size != len(pcm) - 1)  # an odd size with its padding byte is believed, and then refused
    body = bytearray(write_wav(pcm, 24000))
    struct.pack_into("<I", body, 40, size)
    assert read_wav(bytes(body), 24000) == pcm


@given(samples, st.lists(st.tuples(st.sampled_from([b"LIST", b"fact", b"bext"]), st.binary(max_size=33))))
def test_other_chunks_are_skipped(pcm, chunks):
    extra = b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for name, data in chunks
    )
    body = write_wav(pcm, 24000)
    assert read_wav(body[:36] + extra + body[36:], 24000) == pcm


@given(st.binary(max_size=300))
def test_invalid_header_is_transport_error(junk):
    for body in (b"RIFF\0\0\0\0WAVE" + junk, b"RIFF\0\0\0\0WAVEfmt " + junk, junk):
        for asked in ("wav", "pcm"):
            try:
                assert len(decode_body(body, output_format=asked, rate_hz=24000)) % 2 == 0
            except TransportError:
                continue


@given(st.binary(min_size=64, max_size=600))
def test_noise_does_not_look_like_text(noise):
    noise = bytes(value | 0x81 for value in noise)
    assert not looks_like_text(b"{" + noise)
    assert not looks_like_text(b"<h" + noise)


@pytest.mark.parametrize(
    "text", ['{"error":"x"}', "<html>\r\n", " \n<!doctype html>", "[1]", '{"e":"' + "ü" * 300]
)
def test_text_looks_like_text(text):
    assert looks_like_text(text.encode())
