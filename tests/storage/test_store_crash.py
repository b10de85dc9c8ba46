"""The store and SIGKILL: what was promised is there after it, whenever it comes; and one process at a time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from edgevoice import ConfigError
from edgevoice.storage.database import read_history
from edgevoice.storage.store import Store
from tests.support.stores import Faults, Rig, ids, pending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Forks a process for each line that it reads: "<folder> <name> <statement to die at, or 0>".
NURSERY = textwrap.dedent(
    """
    import asyncio, itertools, os, signal, sqlite3, sys
    from pathlib import Path
    from edgevoice.storage.store import Store
    from tests.support.stores import outcome, pending

    def say(*words):
        os.write(1, (" ".join(words) + "\\n").encode())

    async def one(store, id, number):
        rows = [pending(id, speaker, payload=b"x" * 100) for speaker in ("kitchen", "study")]
        await store.put(rows)
        say("accepted", id)
        if number % 2:
            store.record(outcome(id), text="y" * 200, observers=["mqtt"])
            await store.flush()
            say("ended", id)
            if number % 4 == 1:
                store.delivered("mqtt", outcome(id))
                await store.flush()
                say("delivered", id)

    def connector(statement):
        seen = itertools.count(1)

        def trace(sql):
            if next(seen) == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        def connect(*where, **how):
            connection = sqlite3.connect(*where, **how)
            connection.set_trace_callback(trace)
            return connection

        return connect if statement else sqlite3.connect

    async def main(folder, name, statement):
        async with Store(Path(folder), fault=lambda part, sentence: None, connect=connector(statement)) as store:
            say("ready")
            for round in itertools.count():
                names = [f"{name}-{round}-{number}" for number in range(8)]
                await asyncio.gather(*(one(store, id, number) for number, id in enumerate(names)))

    say("up")
    for line in sys.stdin:
        folder, name, statement = line.split()
        child = os.fork()
        if not child:
            signal.alarm(60)  # it must not outlive the test
            asyncio.run(main(folder, name, int(statement)))
        say("child", str(child))
        os.waitpid(child, 0)
        say("gone")
    """
)


class Nursery:
    """Starts processes that use a store, fast; each is killed."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self._read() == ["up"]
        self._early: list[list[str]] = []

    def start(self, folder: Path, name: str, *, statement: int = 0) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder} {name} {statement}\n")
        self._process.stdin.flush()
        first, second = self._read(), []
        while first[0] != "child":
            second.append(first)
            first = self._read()
        self._early = second
        return int(first[1])

    def said(self, child: int, lines: int) -> list[list[str]]:
        """Return the output of the process until it was killed after this many lines."""
        found, alive = self._early, True
        while True:
            if alive and len(found) >= lines:
                os.kill(child, signal.SIGKILL)
                alive = False
            if (words := self._read()) == ["gone"]:
                return found
            found.append(words)

    def wait_ready(self) -> None:
        """Wait until the process has opened its store."""
        while ["ready"] not in self._early:
            self._early.append(self._read())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.kill()
        self._process.communicate()

    def _read(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


class Promises:
    """The inputs of the processes, over all of their lives."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.ended: set[str] = set()
        self.delivered: set[str] = set()

    def note(self, said: list[list[str]]) -> None:
        for words in said:
            if len(words) == 2:
                getattr(self, words[0]).add(words[1])

    async def check(self, folder: Path) -> None:
        faults = Faults()
        async with Store(folder, fault=faults) as store:
            found = await store.snapshot()
            kitchen, study = (
                {row.id for row in found.pending if row.speaker == name} for name in ("kitchen", "study")
            )
            finished = {name for _, name in found.finished}
            undelivered = {event.id for _, event in found.undelivered}
            known = {event["id"] for event in read_history(folder / "edgevoice.db", last=500)}
        assert not faults.now
        assert self.accepted - self.ended <= kitchen | finished
        assert self.accepted <= study, "promised together, kept together"
        assert not self.ended & kitchen
        assert self.ended <= finished
        assert not self.delivered & undelivered
        # One transaction: no outcome without its entry in the outbox, and none that still waits.
        assert not finished & kitchen
        assert undelivered <= finished
        assert known <= finished


async def test_after_sigkill_at_any_moment_all_that_was_promised_is_there(
    tmp_path: Path, nursery: Nursery
) -> None:
    dice = random.Random(11)
    promises = Promises()
    for run in range(200):
        child = nursery.start(tmp_path, str(run))
        promises.note(nursery.said(child, dice.choice([1, 2, 3, 5, 9, 17, 30, 60, 120])))
        if run % 10 == 9:
            await promises.check(tmp_path)
    assert len(promises.accepted) > 500


async def test_a_crash_between_any_two_statements_loses_nothing(tmp_path: Path, nursery: Nursery) -> None:
    promises = Promises()
    for statement in range(1, 90):
        child = nursery.start(tmp_path, f"s{statement}", statement=statement)
        promises.note(nursery.said(child, 500))
        await promises.check(tmp_path)
    # The first opening too, statement by statement.
    for statement in range(1, 40):
        folder = tmp_path / f"fresh{statement}"
        fresh = Promises()
        fresh.note(nursery.said(nursery.start(folder, "f", statement=statement), 500))
        await fresh.check(folder)
    assert len(promises.accepted) > 50


async def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path, nursery: Nursery) -> None:
    child = nursery.start(tmp_path, "first")
    nursery.wait_ready()
    with pytest.raises(ConfigError) as refused:
        await Store(tmp_path, fault=Faults()).__aenter__()
    assert refused.value.issues[0].path == "state_dir"
    nursery.said(child, 1)
    async with Store(tmp_path, fault=Faults()) as after:
        await after.put([pending("a")])
        with pytest.raises(ConfigError):
            await Store(tmp_path, fault=Faults()).__aenter__()


async def test_a_refused_process_leaves_the_first_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.enter() as first:
        await first.put([rig.pending("a")])
        with pytest.raises(ConfigError):
            await rig.enter().__aenter__()
        await first.put([rig.pending("b")])
    async with rig.enter() as again:
        assert ids(again) == ["a", "b"]
