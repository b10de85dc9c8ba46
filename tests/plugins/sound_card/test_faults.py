import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from edgevoice.errors import OutputError
from edgevoice_plugins.sound_card.options import Options
from edgevoice_plugins.sound_card.output import SoundCard
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import Pulse, longest_run_at_the_beginning, longest_run_at_the_end, noise

RATE = 24000


@asynccontextmanager
async def playing(
    card: SoundCard, pulse: Pulse, pcm: bytes
) -> AsyncIterator[tuple[asyncio.Task[None], Recorder]]:
    """Plays `pcm`, from when its first 300 ms were heard."""
    progress = Recorder()
    task = asyncio.create_task(card.play(pieces(pcm), RATE, progress))
    assert await pulse.until(lambda: pcm[: RATE * 6 // 10] in pulse.captured())
    yield task, progress
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def a_loop_that_lives() -> AsyncIterator[None]:
    """Fails if the event loop stood still for 0.3 s meanwhile; a blocked one stands for seconds."""
    late = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await asyncio.sleep(0.01)
            late.append(loop.time() - asked)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    assert max(late) < 0.3


def assert_heard_but_for(pulse: Pulse, pcm: bytes, lost: float, repeated: float) -> None:
    """Heard in two runs, with at most so many seconds lost or repeated where it was interrupted."""
    heard = pulse.without_silence()
    if heard == pcm:
        return
    frames = longest_run_at_the_beginning(heard, pcm) + longest_run_at_the_end(heard, pcm)
    assert len(pcm) // 2 - lost * RATE <= frames <= len(pcm) // 2 + repeated * RATE
    assert len(heard) // 2 <= frames + 0.02 * RATE


async def test_the_rest_is_heard_after_the_sound_server_was_killed_and_restarted(
    pulse: Pulse, card: SoundCard
) -> None:
    pcm, following = noise(2 * RATE, 1), noise(4800, 2)
    async with playing(card, pulse, pcm) as (task, progress), a_loop_that_lives():
        await asyncio.to_thread(pulse.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(pulse.start)
        await task
    assert progress.frames_heard == 2 * RATE
    assert await pulse.hears(pcm[-4800:])
    assert_heard_but_for(pulse, pcm, lost=0.1, repeated=0.1)
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)


async def test_a_sound_server_that_is_away_for_too_long_is_an_error_and_the_next_is_heard(
    pulse: Pulse, card: SoundCard
) -> None:
    pcm = noise(2 * RATE, 1)
    async with playing(card, pulse, pcm) as (task, progress), a_loop_that_lives():
        await asyncio.to_thread(pulse.kill)
        with pytest.raises(OutputError, match="kitchen"):
            await task
    heard = longest_run_at_the_beginning(pulse.without_silence(), pcm)
    assert abs(heard - progress.frames_heard) <= 0.1 * RATE
    await asyncio.to_thread(pulse.start)
    rest = pcm[progress.frames_heard * 2 :]
    await card.play(pieces(rest), RATE, Recorder())
    assert await pulse.hears(rest)


async def test_a_sound_server_restarted_between_announcements_is_no_matter(
    pulse: Pulse, card: SoundCard
) -> None:
    await card.play(pieces(noise(4800, 1)), RATE, Recorder())
    await asyncio.to_thread(pulse.kill)
    await asyncio.to_thread(pulse.start)
    pcm = noise(4800, 2)
    await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)


async def test_a_sound_server_that_is_frozen_for_a_moment_keeps_the_process(
    pulse: Pulse, card: SoundCard
) -> None:
    pcm = noise(RATE, 1)
    pid = card.pid
    async with playing(card, pulse, pcm) as (task, _), a_loop_that_lives():
        pulse.freeze()
        await asyncio.sleep(1.2)
        pulse.thaw()
        await task
    assert card.pid == pid
    assert await pulse.until(lambda: pulse.without_silence() == pcm)


async def test_a_sound_server_that_is_frozen_for_good_costs_the_process_but_not_the_daemon(
    pulse: Pulse, card: SoundCard
) -> None:
    pcm, following = noise(2 * RATE, 1), noise(4800, 2)
    pid = card.pid
    async with playing(card, pulse, pcm) as (task, progress), a_loop_that_lives():
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


async def test_a_cancel_while_the_sound_server_is_frozen_is_obeyed(pulse: Pulse, card: SoundCard) -> None:
    following = noise(4800, 2)
    async with playing(card, pulse, noise(2 * RATE, 1)) as (task, _), a_loop_that_lives():
        pulse.freeze()
        await asyncio.sleep(0.2)
        task.cancel()
        async with asyncio.timeout(1.5):
            await asyncio.gather(task, return_exceptions=True)
    pulse.thaw()
    await card.play(pieces(following), RATE, Recorder())
    assert await pulse.hears(following)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_process_goes_on_for_one_that_is_killed_or_frozen(
    pulse: Pulse, card: SoundCard, number: signal.Signals
) -> None:
    pcm = noise(2 * RATE, 1)
    pid = card.pid
    assert pid is not None
    async with playing(card, pulse, pcm) as (task, progress), a_loop_that_lives():
        os.kill(pid, number)
        await task
    assert card.pid != pid
    assert progress.frames_heard == 2 * RATE
    assert await pulse.hears(pcm[-4800:])
    assert_heard_but_for(pulse, pcm, lost=0.1, repeated=0.1)


async def test_a_process_that_is_killed_between_announcements_is_replaced_by_the_next(
    pulse: Pulse, card: SoundCard
) -> None:
    await card.play(pieces(noise(4800, 1)), RATE, Recorder())
    os.kill(card.pid or 0, signal.SIGKILL)
    pcm = noise(4800, 2)
    await card.play(pieces(pcm), RATE, Recorder())
    assert await pulse.hears(pcm)


async def test_signals_for_the_whole_group_do_not_cut_the_sound(pulse: Pulse, card: SoundCard) -> None:
    pcm = noise(RATE, 1)
    pid = card.pid
    async with playing(card, pulse, pcm) as (task, _):
        os.kill(card.pid or 0, signal.SIGINT)
        os.kill(card.pid or 0, signal.SIGTERM)
        await task
    assert card.pid == pid
    assert await pulse.until(lambda: pulse.without_silence() == pcm)


async def test_the_process_ends_with_the_output(pulse: Pulse, tmp_path: Path) -> None:
    async with SoundCard(context(tmp_path), Options()) as card:
        await card.probe()
        pid = card.pid
    assert await pulse.until(lambda: not psutil.pid_exists(pid or 0))


DAEMON = """
import asyncio
from pathlib import Path
from edgevoice_plugins.sound_card.options import Options
from edgevoice_plugins.sound_card.output import SoundCard
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import noise

async def main():
    async with SoundCard(context(Path(".")), Options()) as card:
        print(card.pid, flush=True)
        await card.play(pieces(noise(240000)), 24000, Recorder())

asyncio.run(main())
"""


@pytest.mark.parametrize("frozen", [False, True])
async def test_the_process_ends_when_the_daemon_is_killed(pulse: Pulse, frozen: bool) -> None:
    if frozen:  # then opening the card blocks for as long
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
