"""The journal and SIGKILL: what was promised is there after it; and one process at a time."""

import os
import random
import signal
import subprocess
import sys
import textwrap

import pytest

from edgevoice import ConfigError
from edgevoice.journal.journal import Journal
from tests.support.journals import Faults, ids, kept

CHILD = textwrap.dedent(
    """
    import asyncio, itertools, os, sys, time
    from pathlib import Path
    from edgevoice import Urgency
    from edgevoice.journal.journal import Journal, Kept

    async def one(journal, id, number):
        await journal.accept(Kept(id=id, target="all", payload=b"x" * 100, urgency=Urgency.HIGH, at=time.time(),
                                  ttl=600.0, speakers=("kitchen",)))
        os.write(1, f"accepted {id}\\n".encode())
        if number % 2:
            journal.end("kitchen", id, Urgency.HIGH, {"event_type": "finished", "id": id, "why": "y" * 200})
            await journal.written()
            os.write(1, f"ended {id}\\n".encode())

    async def main():
        async with Journal(Path(sys.argv[1]), fault=lambda part, sentence: None) as journal:
            os.write(1, b"ready\\n")
            for round in itertools.count():
                ids = [f"{sys.argv[2]}-{round}-{number}" for number in range(8)]
                await asyncio.gather(*(one(journal, id, number) for number, id in enumerate(ids)))

    import edgevoice.journal.writer
    edgevoice.journal.writer.LARGEST = 40_000
    asyncio.run(main())
    """
)


def child(folder, name):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), name], stdout=subprocess.PIPE, env=environment
    )


async def test_after_sigkill_all_that_was_promised_is_there(tmp_path):
    dice = random.Random(11)
    accepted, ended = set(), set()
    for run in range(15):
        with child(tmp_path, str(run)) as process:
            lines = [process.stdout.readline() for _ in range(dice.choice([1, 3, 20, 200, 800]))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        words = [text.decode().split() for text in lines if text.endswith(b"\n")]
        accepted |= {one[1] for one in words if one[0] == "accepted"}
        ended |= {one[1] for one in words if one[0] == "ended"}
        async with Journal(tmp_path, fault=Faults()) as after:
            pending, finished = set(ids(after)), {name for _, name in after.finished}
        assert accepted - ended <= pending | finished
        assert not ended & pending
        assert ended <= finished
    assert len(accepted) > 500


async def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    with child(tmp_path, "first") as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(ConfigError, match="another edgevoice") as refused:
            async with Journal(tmp_path, fault=Faults()):
                pass
        assert refused.value.issues[0].path == "state_dir"
        process.kill()
        process.stdout.readlines()
    async with Journal(tmp_path, fault=Faults()) as after:
        await after.accept(kept("a"))
        with pytest.raises(ConfigError):
            await Journal(tmp_path, fault=Faults()).__aenter__()
