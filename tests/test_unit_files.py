"""The unit files, as systemd's own tools judge them."""

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "systemd"
INSTALLED = "/opt/edgevoice/.venv/bin/edgevoice"


@pytest.fixture
def unit(tmp_path):
    """A copy of a unit whose command exists here, with other replacements as asked for."""

    def copy(name, **replacements):
        text = (FOLDER / name).read_text(encoding="utf-8").replace(INSTALLED, "/bin/true")
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return copy


def analyze(*arguments):
    """Exit status and output of systemd-analyze; a fault in a unit shows only in the latter."""
    folder = Path(arguments[-1]).parent
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False, env=environ
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "options"), [("edgevoice.service", ["verify"]), ("edgevoice-user.service", ["--user", "verify"])]
)
def test_systemd_finds_nothing_wrong_with_the_unit(unit, name, options):
    assert analyze(*options, unit(name)) == (0, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WatchdogSec", "WatchDogSec"),
        ("SetCredential=api_key:\\n", "SetCredential=api_key:"),
        ("@system-service", "@system"),
    ],
)
def test_systemd_would_find_a_mistake(unit, old, new):
    name = "edgevoice.service"
    _, output = analyze("verify", unit(name, **{old: new}))
    assert name in output


def test_the_sandbox_of_the_system_service_is_tight(unit):
    status, output = analyze("security", "--offline=true", "--threshold=14", unit("edgevoice.service"))
    assert status == 0, output


def test_a_looser_sandbox_would_be_noticed(unit):
    loose = unit(
        "edgevoice.service", **{"CapabilityBoundingSet=\n": "", "PrivateUsers=yes": "PrivateUsers=no"}
    )
    status, output = analyze("security", "--offline=true", "--threshold=14", loose)
    assert status != 0, output


def test_the_sandbox_leaves_the_sound_card():
    lines = (FOLDER / "edgevoice.service").read_text(encoding="utf-8").splitlines()
    assert {"DeviceAllow=char-alsa rw", "SupplementaryGroups=audio"} <= set(lines)
    assert not any(line.startswith("PrivateDevices=") for line in lines)


@pytest.mark.parametrize("name", ["edgevoice.service", "edgevoice-user.service"])
def test_a_daemon_that_hangs_or_dies_is_started_again_for_ever(name):
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    assert {"Type=notify", "WatchdogSec=30", "Restart=always", "StartLimitIntervalSec=0"} <= set(lines)
