"""The state folder, and the spool, which is never in memory."""

from pathlib import Path

import pytest

from edgevoice import ConfigError
from edgevoice.errors import ClipError
from edgevoice.paths import SpoolDir, filesystem, mount_table, state_dir

MOUNTS = [
    ("/", "ext4"),
    ("/run", "tmpfs"),
    ("/run/disk", "ext4"),
    ("/mnt", "ext4"),
    ("/mnt", "tmpfs"),
    ("/home/a b", "ramfs"),
]


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


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/x", "ext4"),
        ("/run", "tmpfs"),
        ("/run/x", "tmpfs"),
        ("/runner", "ext4"),
        ("/run/disk/x", "ext4"),
        ("/mnt", "tmpfs"),
        ("/home/a b/c", "ramfs"),
    ],
)
def test_filesystem_of_nearest_mount(folder, kind):
    assert filesystem(Path(folder), MOUNTS) == kind


def test_filesystem_without_mounts():
    assert filesystem(Path("/var"), []) is None


def test_mount_table():
    # Where the root is changed, "/" itself is no mount point.
    assert filesystem(Path("/proc/self"), mount_table()) == "proc"


def test_mount_table_unescapes_names(monkeypatch):
    lines = "36 35 98:0 / /home/a\\040b\\011c rw,noatime master:1 - tmpfs none rw\nnonsense\n\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: lines)
    assert mount_table() == [("/home/a b\tc", "tmpfs")]


def test_spool_avoids_memory(tmp_path, monkeypatch):
    state, spare = tmp_path / "state", tmp_path / "spare"
    state.mkdir()
    spare.mkdir()
    spool = SpoolDir(state, spare=spare)
    for memory, chosen in (((), state), ((state,), spare)):
        mounts = [("/", "ext4"), *((str(folder), "tmpfs") for folder in memory)]
        monkeypatch.setattr("edgevoice.paths.mount_table", lambda mounts=mounts: mounts)
        assert spool() == chosen
    monkeypatch.setattr("edgevoice.paths.mount_table", lambda: [("/", "tmpfs")])
    with pytest.raises(ClipError, match="state_dir"):
        spool()


def test_spool_without_folder_is_an_error(tmp_path):
    with pytest.raises(ClipError):
        SpoolDir(tmp_path / "gone", spare=tmp_path / "gone too")()
