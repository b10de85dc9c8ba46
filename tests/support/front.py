"""A load balancer for tests: it counts the connections to a server, and closes idle ones."""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOSE_TIMEOUT_S = 1.0


@dataclass(eq=False)
class Passage:
    """Serve a connection."""

    number: int
    writer: asyncio.StreamWriter
    opened: float
    moved: float
    #: The port that the server behind sees.
    port: int = 0
    closed: float = math.inf
    #: Whether the server has answered something.
    answered: bool = False
    #: Whether it was closed here, because it was idle.
    given_up: bool = False

    @property
    def is_open(self) -> bool:
        return self.closed == math.inf


class Front:
    """Use as `async with`; its settings may be changed at any time."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._behind = urlsplit(url).port or 80
        self._tls = tls
        self._port = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.passages: list[Passage] = []
        #: Seconds without a byte after which a connection is closed.
        self.idle_limit = math.inf
        self.shuts_at_once = False

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def open(self) -> list[Passage]:
        return [passage for passage in self.passages if passage.is_open]

    @property
    def ready(self) -> list[Passage]:
        """The open ones that have carried an answer, so that a request can use them at once."""
        return [passage for passage in self.open if passage.answered]

    @property
    def given_up(self) -> int:
        """How many were closed for being idle."""
        return sum(passage.given_up for passage in self.passages)

    async def up(self) -> None:
        # A TLS connection closes itself after this long; see _shut.
        shutdown_timeout_s = CLOSE_TIMEOUT_S / 2 if self._tls else None
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._port, ssl=self._tls, ssl_shutdown_timeout=shutdown_timeout_s
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Take no connection any more, and drop those there are."""
        self._server.close()
        self.drop()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def drop(self) -> None:
        """Close every connection."""
        for passage in self.open:
            passage.writer.close()

    async def until(self, holds: Callable[[], bool], within: float = 15.0) -> None:
        """Wait until something is true, which a connection's coming or going makes true."""
        async with asyncio.timeout(within):
            while not holds():
                await self._changed.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        now = asyncio.get_running_loop().time()
        passage = Passage(len(self.passages), writer, now, now)
        self.passages.append(passage)
        self._tell()
        try:
            with contextlib.suppress(OSError):
                if not self.shuts_at_once:
                    await self._pass(passage, reader, writer)
        finally:
            await _shut(writer)
            passage.closed = asyncio.get_running_loop().time()
            self._tell()

    async def _pass(
        self, passage: Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._behind)
        passage.port = to_server.get_extra_info("sockname")[1]
        pumps = {
            asyncio.create_task(_pump(passage, reader, to_server)),
            asyncio.create_task(_pump(passage, from_server, writer, self._answered)),
            asyncio.create_task(self._watch(passage)),
        }
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)
        await _shut(to_server)

    def _answered(self, passage: Passage) -> None:
        if not passage.answered:
            passage.answered = True
            self._tell()

    async def _watch(self, passage: Passage) -> None:
        loop = asyncio.get_running_loop()
        while (left := passage.moved + self.idle_limit - loop.time()) > 0:
            await asyncio.sleep(min(left, 0.05))
        passage.given_up = True

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _pump(
    passage: Passage,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    note: Callable[[Passage], None] = lambda _: None,
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            passage.moved = asyncio.get_running_loop().time()
            writer.write(data)
            await writer.drain()
            note(passage)


async def _shut(writer: asyncio.StreamWriter) -> None:
    is_tls = writer.get_extra_info("ssl_object") is not None
    writer.close()
    with contextlib.suppress(OSError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await writer.wait_closed()
    if not is_tls:  # a closed TLS transport of Python 3.11.2 has no protocol left, so abort() raises
        writer.transport.abort()


def certified(folder: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """The context of a TLS server for 127.0.0.1, whose certificate is `cert.pem` in `folder`."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if not certificate.exists():
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
        )
        names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate))
        subprocess.run([*command.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.minimum_version = context.maximum_version = version
    return context
