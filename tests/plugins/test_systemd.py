"""The notifications that systemd receives, at a real NOTIFY_SOCKET."""

import asyncio
import contextlib
import logging
import os
import socket
from collections import Counter
from datetime import UTC, datetime

import pytest

from edgevoice import Context, NoOptions, SpeakerState, Urgency
from edgevoice.outcome import CurrentAnnouncement
from edgevoice_plugins import systemd

SPEAKING = SpeakerState(
    state="speaking", now=CurrentAnnouncement("a1", Urgency.NORMAL, datetime(2026, 11, 22, tzinfo=UTC))
)


class Service:
    """The observer and its surroundings: stalled components, `ready`, and the socket of systemd."""

    def __init__(self, path, check_s=systemd.CHECK_S):
        self.path = path
        self.stalled = []
        self.checked = asyncio.Event()
        self.ready = asyncio.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        context = Context(
            node="pi",
            state_dir=path.parent,
            speakers=("kitchen", "hall"),
            targets=frozenset({"kitchen", "hall", "all"}),
            stalled=self._check,
            ready=self.ready,
        )
        self.observer = systemd.Systemd(context, NoOptions(), check_s)

    def _check(self):
        self.checked.set()
        return list(self.stalled)

    async def message(self):
        text = (await asyncio.get_running_loop().sock_recv(self.socket, 4096)).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    async def until(self, **wanted):
        """Return the messages up to the first with these values."""
        seen = []
        while not seen or not wanted.items() <= seen[-1].items():
            seen.append(await self.message())
        return seen

    def unread(self):
        """Return the messages that were not read yet."""
        seen = []
        with contextlib.suppress(BlockingIOError):
            while True:
                seen.append(self.socket.recv(4096).decode())
        return seen

    async def wait_checked(self, times):
        """Wait until the stalled components were asked for `times` more times."""
        for _ in range(times):
            self.checked.clear()
            await self.checked.wait()

    def hang_up(self):
        self.path.unlink()

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.observer.run())
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def service(request, tmp_path, monkeypatch):
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    service = Service(path, getattr(request, "param", systemd.CHECK_S))
    yield service
    service.socket.close()


async def test_ready_waits_for_the_speakers(service):
    async with service.running():
        before = await service.until(STATUS="starting")
        service.observer.on_state("kitchen", SpeakerState(state="fault", fault="no such card"))
        before += await service.until(STATUS="fault: kitchen: no such card; starting")
        assert not any("READY" in message for message in before)
        service.ready.set()
        await service.until(READY="1")
        await service.until(STATUS="fault: kitchen: no such card; idle")


async def test_status_follows_playback(service):
    service.ready.set()
    async with service.running():
        await service.until(STATUS="idle")
        service.observer.on_state("kitchen", SPEAKING)
        await service.until(STATUS="speaking in kitchen")
        service.observer.on_state("kitchen", SpeakerState())
        await service.until(STATUS="idle")


async def test_unchanged_status_is_sent_once(service):
    service.ready.set()
    async with service.running():
        await service.until(READY="1")
        for _ in range(3):
            service.observer.on_state("kitchen", SpeakerState())
            await service.wait_checked(1)
        service.observer.on_state("kitchen", SPEAKING)
        seen = await service.until(STATUS="speaking in kitchen")
    assert Counter(message.get("STATUS") for message in seen)["idle"] <= 1


async def test_watchdog_pings_pause_while_stalled(service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    service.ready.set()
    async with service.running():
        await service.until(READY="1")
        await service.until(WATCHDOG="1")
        await service.until(WATCHDOG="1")
        service.stalled.append("mqtt: its thread is dead")
        await service.until(STATUS="stuck: mqtt: its thread is dead; idle")
        service.unread()
        await service.wait_checked(6)
        assert service.unread() == []
        service.stalled.clear()
        await service.until(WATCHDOG="1")


@pytest.mark.parametrize("service", [0.01], indirect=True)
async def test_stall_without_watchdog_is_in_the_status(service):
    service.ready.set()
    async with service.running():
        await service.until(STATUS="idle")
        service.stalled.append("kitchen: the card takes nothing")
        seen = await service.until(STATUS="stuck: kitchen: the card takes nothing; idle")
    assert not any("WATCHDOG" in message for message in seen)


async def test_no_watchdog_ping_before_ready(service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "3000")
    async with service.running():
        await service.until(STATUS="starting")
        for number in range(20):
            service.observer.on_state("kitchen", SpeakerState(fault=f"number {number}"))
            seen = await service.until(STATUS=f"fault: kitchen: number {number}; starting")
            assert not any("WATCHDOG" in message for message in seen)


async def test_stopping_is_the_last_message(service):
    service.ready.set()
    async with service.running():
        await service.until(READY="1")
    messages = service.unread()
    assert messages[-1] == "STOPPING=1\nSTATUS=stopping"


async def test_fault_cannot_inject_a_message(service):
    async with service.running():
        await service.until(STATUS="starting")
        service.observer.on_state("kitchen", SpeakerState(fault="bad\nREADY=1\nsk_0123456789abcdef"))
        await service.until(STATUS="fault: kitchen: bad READY=1 ***; starting")


async def test_no_notification_without_systemd(service, monkeypatch, caplog):
    monkeypatch.delenv("NOTIFY_SOCKET")
    caplog.set_level(logging.DEBUG)
    await service.observer.run()
    assert [record.levelname for record in caplog.records if record.name == systemd.__name__] == ["DEBUG"]
    assert service.unread() == []


async def test_missing_library_is_logged(service, monkeypatch, caplog):
    monkeypatch.setattr(systemd, "daemon", None)
    await service.observer.run()
    assert 'pip install "edgevoice[systemd]"' in caplog.text


async def test_lost_socket_is_logged(service, caplog):
    service.ready.set()
    async with service.running() as task:
        await service.until(READY="1")
        service.hang_up()
        service.observer.on_state("kitchen", SPEAKING)
        await service.wait_checked(1)
        await asyncio.sleep(0)
        assert not task.done()
    assert "STATUS=speaking in kitchen" in caplog.text


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 10),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval(environ, seconds):
    assert systemd.watchdog_interval_s(environ) == seconds


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({}, "idle"),
        ({"kitchen": SpeakerState(queue=2), "hall": SpeakerState(queue=1)}, "idle, 3 waiting"),
        ({"kitchen": SPEAKING, "hall": SPEAKING}, "speaking in kitchen, hall"),
        (
            {"kitchen": SPEAKING, "hall": SpeakerState(queue=3, held=2)},
            "speaking in kitchen, 3 waiting, 2 held",
        ),
        ({"hall": SpeakerState(fault="no card")}, "fault: hall: no card; idle"),
    ],
)
def test_status_text(states, text):
    assert systemd.status(True, states, []) == text


def test_long_status_is_cut():
    text = systemd.status(True, {"kitchen": SpeakerState(fault="x" * 5000)}, [])
    assert len(text) == systemd.MAX_STATUS_CHARS
    assert text.endswith("…")
