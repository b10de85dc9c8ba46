"""Blocking work in daemon threads."""

import threading

import pytest

from edgevoice.disk import in_thread


async def test_result_and_error_reach_the_caller():
    assert await in_thread(int, "11", base=2) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x")


async def test_without_a_thread_the_disk_has_failed(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        await in_thread(int, "1")
