"""How the local voice lives: its child processes are started, stopped, killed and replaced."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing

import psutil
import pytest
import pytest_asyncio

from edgevoice.errors import TransportError
from edgevoice_plugins.local_voice.pool import MAX_CHILDREN, VoicePool
from edgevoice_plugins.local_voice.process import VoiceProcess, VoiceTimeouts
from edgevoice_plugins.local_voice.transport import LocalVoice
from edgevoice_plugins.local_voice.wire import Utterance
from tests.support.local_voice import LETTERS, LONG, SENTENCE, said, seconds, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALTING = """
import sys
from edgevoice_plugins.local_voice.wire import Kind, encode_frame
audio = encode_frame(Kind.AUDIO, b"abcd")
for said, kept in ((audio[:5], b""), (audio[5:], encode_frame(Kind.DONE))):
    sys.stdin.readline()
    sys.stdout.buffer.write(said + kept)
    sys.stdout.buffer.flush()
sys.stdin.readline()
"""


@pytest_asyncio.fixture(loop_scope="module")
async def fresh():
    async with VoicePool() as pool:
        yield pool


async def test_early_close_leaves_child_usable(fresh):
    for _ in range(5):
        async with aclosing(fresh.speak(LONG, rate=44100)) as speech:
            await anext(speech)
        chunks, _ = await said(fresh, SENTENCE)
        assert 0.042 * LETTERS < seconds(chunks) < 0.105 * LETTERS
    assert len(fresh.pids) == 1


async def test_cancel_at_any_time_then_next_is_whole(fresh):
    for after in range(12):
        task = asyncio.create_task(said(fresh, LONG, rate=44100))
        await asyncio.sleep(after / 400)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        chunks, _ = await said(fresh, SENTENCE)
        assert 0.042 * LETTERS < seconds(chunks) < 0.105 * LETTERS


async def test_many_utterances_few_children(fresh):
    texts = [SENTENCE * (1 + number % 3) for number in range(20)]
    lengths = [seconds(chunks) for chunks, _ in await asyncio.gather(*(said(fresh, text) for text in texts))]
    for text, length in zip(texts, lengths, strict=True):
        assert length == pytest.approx(lengths[0] * len(text) / len(SENTENCE), rel=0.35)
    assert len(fresh.pids) <= MAX_CHILDREN


async def test_slow_listener_does_not_block_another(fresh):
    async with aclosing(fresh.speak(LONG, rate=44100)) as slow:
        await anext(slow)
        chunks, _ = await said(fresh, SENTENCE)
        assert chunks
        assert len(fresh.pids) == 2
        rest = [part async for part in slow]
    assert len(rest) > 1000


async def test_child_killed_while_speaking(fresh):
    async with aclosing(fresh.speak(LONG, rate=44100)) as speech:
        await anext(speech)
        killed = fresh.pids[0]
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(TransportError, match="process ended"):
            _ = [part async for part in speech]
    chunks, _ = await said(fresh, SENTENCE)
    assert 0.042 * LETTERS < seconds(chunks) < 0.105 * LETTERS
    assert killed not in fresh.pids


async def test_child_killed_while_idle_is_replaced(fresh):
    await said(fresh, SENTENCE)
    killed = fresh.pids[0]
    os.kill(killed, signal.SIGKILL)
    # At once, while the event loop knows nothing of it.
    chunks, _ = await said(fresh, SENTENCE)
    assert chunks
    assert killed not in fresh.pids


async def test_cancel_within_frame_loses_nothing():
    child = await VoiceProcess.spawn((sys.executable, "-c", HALTING), VoiceTimeouts())
    speech = child.speak(Utterance(text="", voice="en", words_per_minute=175, sample_rate=24000))
    task = asyncio.create_task(anext(speech))
    await until(lambda: child._header)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not child.usable
    await child.drain()
    assert child.usable
    await child.end()


async def test_stuck_child_is_replaced():
    async with VoicePool(VoiceTimeouts(stall_s=0.5)) as pool:
        await said(pool, SENTENCE)
        stuck = pool.pids
        os.kill(stuck[0], signal.SIGSTOP)
        with pytest.raises(TransportError):
            await said(pool, SENTENCE)
        assert (await said(pool, SENTENCE))[0]
        assert pool.pids != stuck


async def test_cancel_during_start_leaves_no_child():
    before = set(psutil.Process().children())
    for after_s in (0, 0.001, 0.005, 0.02, 0.1):
        task = asyncio.create_task(VoiceProcess.start())
        await asyncio.sleep(after_s)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, VoiceProcess):
            await result.end()
    await until(lambda: set(psutil.Process().children()) <= before)


async def test_children_start_late_and_end_with_pool():
    async with VoicePool() as pool:
        assert pool.pids == []
        await said(pool, SENTENCE)
        async with aclosing(pool.speak(LONG, rate=44100)) as speech:
            await anext(speech)
            children = [psutil.Process(pid) for pid in pool.pids]
    assert children
    assert not any(child.is_running() for child in children)


async def test_idle_child_sleeps(fresh):
    await said(fresh, SENTENCE)
    child = psutil.Process(fresh.pids[0])
    await until(lambda: child.status() == psutil.STATUS_SLEEPING)
    before = child.num_ctx_switches()
    await asyncio.sleep(0.5)
    assert child.num_ctx_switches() == before


@pytest.mark.parametrize("doing", ["idle", "speaking"])
async def test_child_ends_with_killed_parent(doing):
    script = f"""
import asyncio
from edgevoice_plugins.local_voice.pool import VoicePool
async def main():
    async with VoicePool() as pool:
        speech = pool.speak({LONG!r} if {doing!r} == "speaking" else "Hello", rate=44100)
        await anext(speech)
        if {doing!r} == "idle":
            async for _ in speech: pass
        print(pool.pids[0], flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.communicate()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


async def test_parent_loads_no_library():
    script = """
import asyncio, sys
from edgevoice_plugins.local_voice.pool import VoicePool
from edgevoice_plugins.local_voice import edgevoice_register, transport
async def main():
    async with VoicePool() as pool:
        print(sum([len(part) async for part in pool.speak("Hello", rate=24000) if isinstance(part, bytes)]))
asyncio.run(main())
print(sorted({"espeakng_loader", "numpy", "soxr", "ctypes.util"} & set(sys.modules)))
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    length, loaded = done.stdout.splitlines()
    assert int(length) > 10000
    assert loaded == "[]"


async def test_missing_library_says_what_to_install():
    script = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from edgevoice_plugins.local_voice.transport import LocalVoice; print(LocalVoice.missing_dependency())"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == 'needs espeakng-loader: pip install "edgevoice[local]"'
    assert LocalVoice.missing_dependency() is None


async def test_child_without_data_says_why(tmp_path, monkeypatch):
    (tmp_path / "espeakng_loader.py").write_text(
        f"def get_data_path(): return '/{'x' * 200}'\ndef get_library_path(): return ''\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    async with VoicePool() as pool:
        for _ in range(2):
            with pytest.raises(TransportError, match="longer than 159 bytes"):
                await said(pool, SENTENCE)
        assert pool.pids == []
