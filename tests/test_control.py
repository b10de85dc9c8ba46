"""The control socket: one question a line, one answer, and nothing that a stray client can break."""

from __future__ import annotations

import asyncio
import socket
import stat

import pytest

from edgevoice.control import MAX_LINE_BYTES, SOCKET_NAME, Control, query
from edgevoice.errors import EdgeVoiceError


def double(question):
    return question["number"] * 2


def refuse(_question):
    raise EdgeVoiceError("not today")


@pytest.fixture
async def folder(tmp_path):
    async with Control(tmp_path, {"double": double, "refuse": refuse}):
        yield tmp_path


async def test_a_question_is_answered(folder):
    assert await asyncio.to_thread(query, folder, ask="double", number=21) == 42


async def test_only_the_owner_may_ask(folder):
    assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) == 0o600


async def test_an_error_is_told_as_a_sentence(folder):
    with pytest.raises(EdgeVoiceError, match="not today"):
        await asyncio.to_thread(query, folder, ask="refuse")


@pytest.mark.parametrize("question", [{"ask": "nothing"}, {}, {"ask": "double"}, {"ask": ["double"]}])
async def test_a_question_that_is_not_known_is_an_error(folder, question):
    with pytest.raises(EdgeVoiceError, match="no question this version knows"):
        await asyncio.to_thread(query, folder, **question)


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"x" * (MAX_LINE_BYTES + 10)]
)
async def test_nonsense_does_not_hurt_the_next_question(folder, line):
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


def test_where_no_daemon_runs_there_is_no_answer(tmp_path):
    assert query(tmp_path, ask="double") is None


async def test_the_socket_of_a_daemon_that_was_killed_is_taken_over(tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / SOCKET_NAME))
    assert await asyncio.to_thread(query, tmp_path, ask="double", number=1) is None
    async with Control(tmp_path, {"double": double}):
        assert await asyncio.to_thread(query, tmp_path, ask="double", number=2) == 4
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_a_folder_that_cannot_hold_a_socket_is_a_warning(tmp_path, caplog):
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    async with Control(deep, {"double": double}):
        assert "cannot ask this daemon" in caplog.text
