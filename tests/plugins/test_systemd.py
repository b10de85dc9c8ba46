"""What systemd is told, through a real NOTIFY_SOCKET."""

import asyncio
import contextlib
import logging
import os
import socket
from collections import Counter
from datetime import UTC, datetime

import pytest

from edgevoice.announcement import Urgency
from edgevoice.outcome import CurrentAnnouncement, SpeakerState
from edgevoice.plugin import Context, NoOptions
from edgevoice_plugins import systemd

SPEAKING = SpeakerState(
    state="speaking", now=CurrentAnnouncement("a1", Urgency.NORMAL, datetime(2026, 11, 22, tzinfo=UTC))
)


class Service:
    """A daemon's surroundings: what is stuck, whether it is ready, and the socket systemd listens at."""

    def __init__(self, path):
        self.path = path
        self.stuck = []
        self.look = asyncio.Event()
        self.ready = asyncio.Event()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        context = Context(
            node="pi",
            state_dir=path.parent,
            speakers=("kitchen", "hall"),
            targets=frozenset({"kitchen", "hall", "all"}),
            stalled=self._look,
            ready=self.ready,
        )
        self.observer = systemd.Systemd(context, NoOptions())

    def _look(self):
        self.look.set()
        return list(self.stuck)

    async def message(self):
        text = (await asyncio.get_running_loop().sock_recv(self.socket, 4096)).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    async def until(self, **wanted):
        """The messages up to the one that holds all that is wanted."""
        seen = []
        while not seen or not wanted.items() <= seen[-1].items():
            seen.append(await self.message())
        return seen

    def waiting(self):
        """What has come and was not read."""
        seen = []
        with contextlib.suppress(BlockingIOError):
            while True:
                seen.append(self.socket.recv(4096).decode())
        return seen

    async def looked(self, times):
        """Wait until what is stuck was asked for so many times more."""
        for _ in range(times):
            self.look.clear()
            await self.look.wait()

    def hang_up(self):
        self.path.unlink()

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.observer.run())
        yield task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def service(tmp_path, monkeypatch):
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    service = Service(path)
    yield service
    service.socket.close()


async def test_ready_is_told_when_the_speakers_were_tried_and_not_before(service):
    async with service.running():
        before = await service.until(STATUS="starting")
        service.observer.on_state("kitchen", SpeakerState(state="fault", fault="no such card"))
        before += await service.until(STATUS="fault: kitchen: no such card; starting")
        assert not any("READY" in message for message in before)
        service.ready.set()
        await service.until(READY="1")
        await service.until(STATUS="fault: kitchen: no such card; idle")


async def test_the_status_follows_what_is_spoken(service):
    service.ready.set()
    async with service.running():
        await service.until(STATUS="idle")
        service.observer.on_state("kitchen", SPEAKING)
        await service.until(STATUS="speaking in kitchen")
        service.observer.on_state("kitchen", SpeakerState())
        await service.until(STATUS="idle")


async def test_a_status_that_stays_the_same_is_told_once(service):
    service.ready.set()
    async with service.running():
        await service.until(READY="1")
        for _ in range(3):
            service.observer.on_state("kitchen", SpeakerState())
            await service.looked(1)
        service.observer.on_state("kitchen", SPEAKING)
        seen = await service.until(STATUS="speaking in kitchen")
    assert Counter(message.get("STATUS") for message in seen)["idle"] <= 1


async def test_signs_of_life_stop_while_a_part_is_stuck_and_come_back(service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    service.ready.set()
    async with service.running():
        await service.until(READY="1")
        await service.until(WATCHDOG="1")
        await service.until(WATCHDOG="1")
        service.stuck.append("mqtt: its thread is dead")
        await service.until(STATUS="stuck: mqtt: its thread is dead; idle")
        service.waiting()
        await service.looked(6)
        assert service.waiting() == []
        service.stuck.clear()
        await service.until(WATCHDOG="1")


async def test_what_is_stuck_is_said_where_the_unit_has_no_watchdog_too(service, monkeypatch):
    monkeypatch.setattr(systemd, "LOOK_EVERY", 0.01)
    service.ready.set()
    async with service.running():
        await service.until(STATUS="idle")
        service.stuck.append("kitchen: the card takes nothing")
        seen = await service.until(STATUS="stuck: kitchen: the card takes nothing; idle")
    assert not any("WATCHDOG" in message for message in seen)


async def test_no_sign_of_life_before_ready(service, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "3000")
    async with service.running():
        await service.until(STATUS="starting")
        for number in range(20):
            service.observer.on_state("kitchen", SpeakerState(fault=f"number {number}"))
            seen = await service.until(STATUS=f"fault: kitchen: number {number}; starting")
            assert not any("WATCHDOG" in message for message in seen)


async def test_stopping_is_the_last_word(service):
    service.ready.set()
    async with service.running():
        await service.until(READY="1")
    messages = service.waiting()
    assert messages[-1] == "STOPPING=1\nSTATUS=stopping"


async def test_a_fault_cannot_speak_to_systemd_itself(service):
    async with service.running():
        await service.until(STATUS="starting")
        service.observer.on_state("kitchen", SpeakerState(fault="bad\nREADY=1\nsk_0123456789abcdef"))
        await service.until(STATUS="fault: kitchen: bad READY=1 ***; starting")


async def test_nothing_happens_without_systemd(service, monkeypatch, caplog):
    monkeypatch.delenv("NOTIFY_SOCKET")
    caplog.set_level(logging.DEBUG)
    await service.observer.run()
    assert [record.levelname for record in caplog.records if record.name == systemd.__name__] == ["DEBUG"]
    assert service.waiting() == []


async def test_a_missing_library_is_named_where_systemd_waits(service, monkeypatch, caplog):
    monkeypatch.setattr(systemd, "daemon", None)
    await service.observer.run()
    assert 'pip install "edgevoice[systemd]"' in caplog.text


async def test_a_socket_that_is_gone_is_no_reason_to_die(service, caplog):
    service.ready.set()
    async with service.running() as task:
        await service.until(READY="1")
        service.hang_up()
        service.observer.on_state("kitchen", SPEAKING)
        await service.looked(1)
        await asyncio.sleep(0)
        assert not task.done()
    assert "systemd could not be told STATUS=speaking in kitchen" in caplog.text


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
def test_a_third_of_what_the_unit_allows_lies_between_two_signs_of_life(environ, seconds):
    assert systemd.watchdog_interval(environ) == seconds


@pytest.mark.parametrize(
    ("states", "sentence"),
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
def test_the_status_is_a_sentence_for_people(states, sentence):
    assert systemd.status(True, states, []) == sentence


def test_a_long_status_is_cut():
    sentence = systemd.status(True, {"kitchen": SpeakerState(fault="x" * 5000)}, [])
    assert len(sentence) == systemd.STATUS_LENGTH
    assert sentence.endswith("…")
