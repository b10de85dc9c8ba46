"""The event loop never touches the disk while the daemon works: an SD card may stall for seconds."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from edgevoice.control import query
from tests.support.house import House

#: Audit events of calls that may wait for the disk.
BLOCKING = {
    *("open", "glob.glob", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir"),
    *("os.truncate", "sqlite3.connect", "subprocess.Popen", "os.posix_spawn"),
}
#: These have no audit event.
WITHOUT_EVENT = ("fsync", "fdatasync", "pread", "pwrite", "read", "stat", "write")


class DiskCalls:
    """The calls of one thread that may wait for the disk, from `watch` on."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._watched: int | None = None
        sys.addaudithook(self._on_audit)  # it cannot be removed

    def watch(self) -> None:
        self._watched = threading.get_ident()

    def stop(self) -> None:
        self._watched = None

    def note(self, name: str, *arguments: object) -> None:
        if threading.get_ident() == self._watched:
            self.found.append(f"{name} {arguments}")

    def _on_audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in BLOCKING:
            self.note(event, *arguments[:1])


@pytest.fixture
def disk_calls(monkeypatch):
    calls = DiskCalls()
    for name in WITHOUT_EVENT:
        real = getattr(os, name)

        def noted(*arguments, _real=real, _name=name, **keys):
            calls.note(_name, *arguments[:1])
            return _real(*arguments, **keys)

        monkeypatch.setattr(os, name, noted)
    yield calls
    calls.stop()


async def test_event_loop_touches_no_disk(disk_calls, broker, lightning):
    """Defect 9.12: a glob for each explain, and a write for each outcome."""
    sections = {"cache": {"enabled": True}, "chime": "ding", "lightning": {"base_url": lightning.url}}
    async with House(broker, pace=True, **sections) as house:
        texts = ("d300z First.", "d300z Second.")
        await say_and_explain(house, "first", texts[0])  # imports what is loaded late
        disk_calls.watch()
        await say_and_explain(house, "second", texts[1])
        await house.said(texts[0], id="cached", urgency="high")
        await house.client.publish("edgevoice/kitchen/volume/set", "40")
        await house.said(texts[1], id="quieter")
        disk_calls.stop()
    assert disk_calls.found == []


async def say_and_explain(house, name, text):
    await house.said(text, id=name, urgency="high")
    question = {"ask": "explain", "text": text, "target": "kitchen", "urgency": "high"}
    answer = await asyncio.to_thread(query, house.folder, **question)
    assert answer["from"] == "the running daemon"
    await asyncio.to_thread(query, house.folder, ask="cache")
