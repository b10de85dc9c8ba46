"""The daemon as a child process, as a user or systemd would start it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.house import House

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.broker import Broker

SECRETS = (
    "SMALLEST_API_KEY",
    "EDGEVOICE_CONFIG",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "STATE_DIRECTORY",
)
EDGEVOICE = (str(Path(sys.executable).parent / "edgevoice"),)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without the variables of the test runner."""
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "COLUMNS": "200", **more}


async def ended(
    *command: str, home: Path, env: Mapping[str, str] | None = None, within: float = 30
) -> tuple[int, str, str]:
    """Run a command to its end: exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(home, **(env or {})),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=home,
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    return process.returncode or 0, out.decode(), err.decode()


class ChildHouse(House):
    """A `House` whose daemon is `edgevoice run` in a process of its own; its log is `log`.

    `command` runs in place of `edgevoice`; `env` is added to an environment without any secret.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        command: Sequence[str] = EDGEVOICE,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        speakers: dict[str, Any] | None = None,
        **sections: Any,
    ) -> None:
        super().__init__(broker, speakers=speakers, **sections)
        self._command = command
        self._args = args
        self._env = env or {}
        self.home = self.folder / "home"
        self.home.mkdir()
        self.config = self.folder / "edgevoice.yaml"
        self.config.write_text(self.configuration)
        self._log = self.folder / "log"
        self.process: asyncio.subprocess.Process
        self.status: int | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def run(self) -> None:
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(*self._command, "run", "--config", str(self.config), *self._args),
                env=environment(self.home, **self._env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.status = await self.process.wait()
        if self.status not in (0, -signal.SIGKILL):
            raise AssertionError(f"the daemon ended with {self.status}:\n{self.log}")

    async def leave(self, how: signal.Signals = signal.SIGTERM) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            async with asyncio.timeout(20):
                await asyncio.shield(self.task)
        except TimeoutError:
            self.process.kill()
            raise
