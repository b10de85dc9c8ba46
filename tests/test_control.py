"""The control socket: requests, replies, and clients that send garbage."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from edgevoice.control import MAX_REQUEST_BYTES, SOCKET_NAME, UNKNOWN_REQUEST, Control, query
from edgevoice.errors import EdgeVoiceError


def double(question):
    return question["number"] * 2


def whole(question):
    return int(question["number"])


def refuse(_question):
    raise EdgeVoiceError("not today")


@pytest.fixture
async def folder(tmp_path):
    async with Control(tmp_path, {"double": double, "refuse": refuse, "whole": whole}):
        yield tmp_path


async def test_reply(folder):
    assert await asyncio.to_thread(query, folder, ask="double", number=21) == 42


async def test_socket_is_private(folder):
    assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) == 0o600


async def test_socket_is_never_open_to_others(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "chmod", None)  # a mode set after bind would leave a moment open
    monkeypatch.setattr(os, "chmod", None)
    before = os.umask(0)
    try:
        async with Control(tmp_path, {}):
            assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600
    finally:
        os.umask(before)


async def test_error_of_handler(folder):
    with pytest.raises(EdgeVoiceError, match="not today"):
        await asyncio.to_thread(query, folder, ask="refuse")


@pytest.mark.parametrize(
    "question",
    [
        *({"ask": "nothing"}, {}, {"ask": "double"}, {"ask": ["double"]}),
        *({"ask": "whole", "number": float("inf")}, {"ask": "whole", "number": "x"}),
    ],
)
async def test_unknown_request(folder, question):
    with pytest.raises(EdgeVoiceError) as raised:
        await asyncio.to_thread(query, folder, **question)
    assert str(raised.value) == UNKNOWN_REQUEST


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"x" * (MAX_REQUEST_BYTES + 10)]
)
async def test_malformed_request_leaves_server_running(folder, line):
    def stray():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(folder / SOCKET_NAME))
            try:
                connection.sendall(line)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1000)
            except OSError:
                pass

    await asyncio.to_thread(stray)
    assert await asyncio.to_thread(query, folder, ask="double", number=1) == 2


def test_query_without_daemon_is_none(tmp_path):
    assert query(tmp_path, ask="double") is None


async def test_stale_socket_is_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / SOCKET_NAME))
    assert await asyncio.to_thread(query, tmp_path, ask="double", number=1) is None
    async with Control(tmp_path, {"double": double}):
        assert await asyncio.to_thread(query, tmp_path, ask="double", number=2) == 4
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_path_too_long_is_a_warning(tmp_path, caplog):
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    async with Control(deep, {"double": double}):
        assert str(deep / SOCKET_NAME) in caplog.text
