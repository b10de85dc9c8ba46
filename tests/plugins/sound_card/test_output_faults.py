import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from edgevoice import OutputError
from edgevoice_plugins.sound_card import process
from edgevoice_plugins.sound_card.output import Options, SoundCard, Timeouts
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import Pulse, longest_run_at_the_beginning, longest_run_at_the_end, noise

RATE = 24000


@asynccontextmanager
async def playing(
    card: SoundCard, pulse: Pulse, pcm: bytes
) -> AsyncIterator[tuple[asyncio.Task[None], Recorder]]:
    """Play `pcm`; enter when its first 300 ms were played."""
    progress = Recorder()
    task = asyncio.create_task(card.play(pieces(pcm), RATE, progress))
    assert await pulse.until(lambda: pcm[: RATE * 6 // 10] in pulse.captured())
    yield task, progress
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def responsive_loop() -> AsyncIterator[None]:
    """Fail if the event loop was blocked for 0.3 s meanwhile."""
    late = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await asyncio.sleep(0.01)
            late.append(loop.time() - asked)

    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    yield
    await asyncio.sleep(0.02)
    task.cancel()
    assert max(late) < 0.3


def assert_played_except(pulse: Pulse, pcm: bytes, lost: float, repeated: float) -> None:
    """Assert that at most these seconds are lost or repeated where `pcm` was interrupted."""
    heard = pulse.without_silence()
    if heard == pcm:
        return
    frames = longest_run_at_the_beginning(heard, pcm) + longest_run_at_the_end(heard, pcm)
    assert len(pcm) // 2 - lost * RATE <= frames <= len(pcm) // 2 + repeated * RATE
    assert len(heard) // 2 <= frames + 0.02 * RATE


async def test_server_restart_resumes(pulse: Pulse, card: SoundCard) -> None:
    pcm, following = noise(2 * RATE, 1), noise(4800, 2)
    async with playing(card, pulse, pcm) as (task, progress), responsive_loop():
        await asyncio.to_thread(pulse.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(pulse.start)
        await task
    assert progress.frames_heard == 2 * RATE
    assert await pulse.hears(pcm[-4800:])
    assert_played_except(pulse, pcm, lost=0.1, repeated=0.1)
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)


async def test_server_gone_for_long_is_an_error(pulse: Pulse, card: SoundCard) -> None:
    pcm = noise(2 * RATE, 1)
    async with playing(card, pulse, pcm) as (task, progress), responsive_loop():
        await asyncio.to_thread(pulse.kill)
        with pytest.raises(OutputError, match="kitchen"):
            await task
    heard = longest_run_at_the_beginning(pulse.without_silence(), pcm)
    assert abs(heard - progress.frames_heard) <= 0.1 * RATE
    await asyncio.to_thread(pulse.start)
    rest = pcm[progress.frames_heard * 2 :]
    await card.play(pieces(rest), RATE, Recorder())
    assert await pulse.hears(rest)


async def test_server_restart_between_announcements(pulse: Pulse, card: SoundCard) -> None:
    await card.play(pieces(noise(4800, 1)), RATE, Recorder())
    await asyncio.to_thread(pulse.kill)
    await asyncio.to_thread(pulse.start)
    pcm = noise(4800, 2)
    await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)


async def test_server_frozen_briefly_keeps_the_process(pulse: Pulse, card: SoundCard) -> None:
    pcm = noise(RATE, 1)
    pid = card.pid
    async with playing(card, pulse, pcm) as (task, _), responsive_loop():
        pulse.freeze()
        await asyncio.sleep(1.2)
        pulse.thaw()
        await task
    assert card.pid == pid
    assert await pulse.until(lambda: pulse.without_silence() == pcm)


async def test_server_frozen_for_long_is_an_error(pulse: Pulse, card: SoundCard) -> None:
    pcm, following = noise(2 * RATE, 1), noise(4800, 2)
    pid = card.pid
    async with playing(card, pulse, pcm) as (task, progress), responsive_loop():
        pulse.freeze()
        with pytest.raises(OutputError, match="made no progress"):
            await task
        with pytest.raises(OutputError, match="has not answered"):
            await card.probe()
        assert card.pid != pid
        assert not psutil.pid_exists(pid or 0)
    heard = longest_run_at_the_beginning(pulse.without_silence(), pcm)
    assert abs(heard - progress.frames_heard) <= 0.1 * RATE
    pulse.thaw()
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)


async def test_cancel_while_server_is_frozen(pulse: Pulse, card: SoundCard) -> None:
    following = noise(4800, 2)
    async with playing(card, pulse, noise(2 * RATE, 1)) as (task, _), responsive_loop():
        pulse.freeze()
        await asyncio.sleep(0.2)
        task.cancel()
        async with asyncio.timeout(1.5):
            await asyncio.gather(task, return_exceptions=True)
    pulse.thaw()
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_lost_process_is_replaced(pulse: Pulse, card: SoundCard, number: signal.Signals) -> None:
    pcm = noise(2 * RATE, 1)
    pid = card.pid
    assert pid is not None
    async with playing(card, pulse, pcm) as (task, progress), responsive_loop():
        os.kill(pid, number)
        await task
    assert card.pid != pid
    assert progress.frames_heard == 2 * RATE
    assert await pulse.hears(pcm[-4800:])
    assert_played_except(pulse, pcm, lost=0.1, repeated=0.1)


async def test_process_killed_between_announcements(pulse: Pulse, card: SoundCard) -> None:
    await card.play(pieces(noise(4800, 1)), RATE, Recorder())
    os.kill(card.pid or 0, signal.SIGKILL)
    pcm = noise(4800, 2)
    await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)


async def test_group_signals_do_not_stop_the_sound(pulse: Pulse, card: SoundCard) -> None:
    pcm = noise(RATE, 1)
    pid = card.pid
    async with playing(card, pulse, pcm) as (task, _):
        os.kill(card.pid or 0, signal.SIGINT)
        os.kill(card.pid or 0, signal.SIGTERM)
        await task
    assert card.pid == pid
    assert await pulse.until(lambda: pulse.without_silence() == pcm)


async def test_close_ends_the_process(pulse: Pulse, tmp_path: Path) -> None:
    async with SoundCard(context(tmp_path), Options()) as card:
        await card.probe()
        pid = card.pid
    assert await pulse.until(lambda: not psutil.pid_exists(pid or 0))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Make the start of a process take 0.5 s, and return the processes."""
    processes = []

    def start(connection: socket.socket, device: str) -> subprocess.Popen[bytes]:
        time.sleep(0.5)
        processes.append(real(connection, device))
        return processes[-1]

    real = process._start_process
    monkeypatch.setattr(process, "_start_process", start)
    return processes


async def test_slow_spawn_does_not_block_the_loop(
    pulse: Pulse, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pcm = noise(4800)
    async with responsive_loop(), SoundCard(context(tmp_path), Options()) as card:
        await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)
    assert len(started) == 1


async def test_cancelled_spawn_leaves_no_process(
    pulse: Pulse, card: SoundCard, started: list[subprocess.Popen[bytes]]
) -> None:
    os.kill(card.pid or 0, signal.SIGKILL)
    playing = asyncio.create_task(card.play(pieces(noise(4800, 1)), RATE, Recorder()))
    await asyncio.sleep(0.25)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    assert await pulse.until(lambda: started and not psutil.pid_exists(started[0].pid))
    await card.play(pieces(noise(4800, 2)), RATE, Recorder())
    assert await pulse.hears(noise(4800, 2))
    assert pulse.without_silence() == noise(4800, 2)


async def test_process_that_cannot_be_started(
    pulse: Pulse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    async with SoundCard(context(tmp_path), Options(), Timeouts(recovery_s=0.3)) as card:
        with pytest.raises(OutputError, match="cannot be started"):
            await card.probe()
        with pytest.raises(OutputError, match="cannot be started"):
            await card.play(pieces(noise(4800)), RATE, Recorder())
    assert pulse.without_silence() == b""


DAEMON = """
import asyncio
from pathlib import Path
from edgevoice_plugins.sound_card.output import Options, SoundCard
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import noise

async def main():
    async with SoundCard(context(Path(".")), Options()) as card:
        print(card.pid, flush=True)
        await card.play(pieces(noise(240000)), 24000, Recorder())

asyncio.run(main())
"""


@pytest.mark.parametrize("frozen", [False, True])
async def test_process_ends_with_the_daemon(pulse: Pulse, frozen: bool) -> None:
    if frozen:  # opening the card blocks
        pulse.freeze()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, env=environment) as daemon:
        assert daemon.stdout is not None
        child = psutil.Process(int(daemon.stdout.readline()))
        await asyncio.sleep(1)
        assert child.is_running()
        daemon.kill()
    assert await pulse.until(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, timeout=5
    )
