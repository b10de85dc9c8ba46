"""The daemon's own door for the command line: a socket in its state folder, one question a line, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from typing import TYPE_CHECKING, Any, Self

from edgevoice.errors import EdgeVoiceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

SOCKET_NAME = "control.sock"
MAX_LINE_BYTES = 256 * 1024
TIMEOUT_S = 5.0
"""Seconds for a question to come, and for an answer."""

Answer = dict[str, Any]


class Control:
    """Answers questions; `answers` maps what is asked to a function of the question. Use as `async with`."""

    def __init__(self, folder: Path, answers: dict[str, Callable[[Answer], Any]]) -> None:
        self._path = folder / SOCKET_NAME
        self._answers = answers
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # of a daemon that was killed; two at once are refused by the journal
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE_BYTES)
            self._path.chmod(0o600)
        except OSError as error:
            logger.warning(
                "the command line cannot ask this daemon: %s: %s", self._path, error.strerror or error
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                line = await reader.readline()
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            logger.debug("a question on the control socket was not whole")
        finally:
            writer.close()

    def _answer(self, line: bytes) -> Answer:
        try:
            question = json.loads(line)
            return {"answer": self._answers[question["ask"]](question)}
        except EdgeVoiceError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": "that is no question this version knows"}


def query(folder: Path, **question: Any) -> Any:
    """Ask the running daemon; None where none runs.

    Raises:
        EdgeVoiceError: it could not be asked, or answered that the question is wrong.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(folder / SOCKET_NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise EdgeVoiceError(
                f"the daemon cannot be asked: {folder / SOCKET_NAME}: {error.strerror or error}"
            ) from None
        with connection.makefile("rwb") as stream:
            try:
                stream.write(json.dumps(question).encode() + b"\n")
                stream.flush()
                reply = json.loads(stream.readline())
            except (OSError, ValueError):
                raise EdgeVoiceError("the daemon did not answer") from None
    if "error" in reply:
        raise EdgeVoiceError(reply["error"])
    return reply["answer"]
