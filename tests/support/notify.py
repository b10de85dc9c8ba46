"""The socket at which systemd hears from a service (sd_notify(3))."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class NotifySocket:
    """`with NotifySocket(folder) as notify:`; `notify.path` is what NOTIFY_SOCKET has to be."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def until(self, line: str, within: float = 20.0) -> None:
        """Wait for a line, which may be one of those that were heard already."""
        async with asyncio.timeout(within):
            while line not in self.heard:
                message = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
                self.heard += message.decode().splitlines()
