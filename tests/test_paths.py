"""The state folder, and the spool, which is never in memory."""

import os
from pathlib import Path

import pytest

from edgevoice import ConfigError
from edgevoice.errors import ClipError
from edgevoice.paths import spool_dir, state_dir


def test_state_dir_configured(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "systemd"))
    assert state_dir(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())
    assert not (tmp_path / "systemd").exists()


def test_state_dir_of_systemd(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/one:{tmp_path}/two")
    assert state_dir(None) == tmp_path / "one"


def test_state_dir_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert state_dir(None) == tmp_path / "edgevoice"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    monkeypatch.setattr(Path, "touch", lambda *_: None)
    monkeypatch.setattr(Path, "unlink", lambda *_: None)
    assert state_dir(None) == Path("/var/lib/edgevoice")


def test_state_dir_expands_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_dir("~/kept") == tmp_path / "kept"


@pytest.mark.parametrize("folder", ["/proc/edgevoice", "/dev/null/x", "a\0b", "~nobody_of_that_name/x"])
def test_unwritable_state_dir_is_an_issue(folder):
    with pytest.raises(ConfigError, match="state_dir"):
        state_dir(folder)


def mounted(monkeypatch, *kinds):
    """Let the devices of these folders be of these types of file system."""
    lines = [
        f"36 35 {os.major(folder.stat().st_dev)}:{os.minor(folder.stat().st_dev)} / /a\\040b rw master:1 - {kind} x rw"
        for folder, kind in kinds
    ]
    text = "\n".join([*lines, "nonsense", "", "37 35 0:99999 / /mnt rw - ramfs none rw"])
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)


def test_spool_avoids_memory(tmp_path, monkeypatch):
    state, spare, other = tmp_path / "state", tmp_path / "spare", Path("/proc")
    for folder in (state, spare):
        folder.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: True)
    mounted(monkeypatch, (state, "ext4"), (other, "tmpfs"))
    assert spool_dir(state, spare=spare) == state
    assert spool_dir(other, spare=spare) == spare
    for kind in ("tmpfs", "ramfs", "devtmpfs"):
        mounted(monkeypatch, (state, kind))
        with pytest.raises(ClipError, match="state_dir"):
            spool_dir(state, spare=spare)


def test_spool_is_the_state_folder_without_a_table_of_mounts(tmp_path, monkeypatch):
    def unreadable(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert spool_dir(tmp_path) == tmp_path


def test_spool_knows_the_memory_of_this_machine(tmp_path):
    shared = Path("/dev/shm")
    lines = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    kinds = {mount.split(" ")[4]: kind.split(" ")[0] for mount, kind in lines}
    if kinds.get("/dev/shm") != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    with pytest.raises(ClipError):
        spool_dir(shared, spare=shared)


def test_spool_without_folder_is_an_error(tmp_path):
    with pytest.raises(ClipError):
        spool_dir(tmp_path / "gone", spare=tmp_path / "gone too")
