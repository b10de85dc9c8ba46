"""`edgevoice demo` as a user starts it: it needs nothing, and touches nothing of the user's."""

from __future__ import annotations

import subprocess
import wave
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import numpy as np
import pytest

from edgevoice_plugins.demo.scenario import STEPS
from tests.support.child import EDGEVOICE, environment
from tests.support.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-4711-do-not-show"
BROKEN = "nodde: [this is no configuration\n"
#: Range in which the six announcements end.
MIN_SPEECH_S, MAX_SPEECH_S = 20.0, 40.0


class Demo:
    """The demo in the home of a user who has a key, and a configuration that is broken."""

    def __init__(self, home: Path, *args: str, **env: str) -> None:
        self.home = home
        configuration = home / ".config" / "edgevoice" / "edgevoice.yaml"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(BROKEN)
        own = {"SMALLEST_API_KEY": CANARY, "EDGEVOICE_CONFIG": str(configuration), **env}
        with (home / "out").open("wb") as out, (home / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [*EDGEVOICE, "demo", *args],
                env=environment(home, **own),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ended(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and standard error."""
        return self._process.wait(60), (self.home / "err").read_text()

    def out(self) -> str:
        """Wait for a successful end; return standard output."""
        assert self.ended() == (0, "")
        return (self.home / "out").read_text()


@pytest.fixture(scope="module")
def pulse() -> Iterator[Pulse]:
    with Pulse() as pulse:
        yield pulse


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory, pulse: Pulse) -> Iterator[dict[str, Demo]]:
    """Run all at once, since each takes as long as its announcements."""
    homes = {name: tmp_path_factory.mktemp("home") for name in ("named", "no card", "card")}
    nothing = homes["no card"] / "nothing.conf"
    nothing.write_text("pcm.nothing { type hw card 31 }\n")
    started = {
        "named": Demo(homes["named"], "--wav", str(homes["named"] / "named.wav")),
        "no card": Demo(homes["no card"], ALSA_CONFIG_PATH=str(nothing)),
        "card": Demo(homes["card"], **{**pulse.env, "HOME": str(homes["card"])}),
    }
    with ExitStack() as stack:
        for demo in started.values():
            stack.enter_context(demo)
        yield started


def check_table(out: str) -> None:
    """Check that each announcement has a row with its transport and `finished`."""
    rows = [line for line in out.splitlines() if line.startswith("│")]
    for step in STEPS:
        (row,) = [row for row in rows if row.startswith(f"│ {step.title} ")]
        assert step.transport in row, row
        assert ("refused," in row) is (step.failed_first is not None), row
        assert "finished" in row, row
        assert " ms " in row, row


def check_speech(pcm: bytes, rate: int) -> None:
    """Check that the speech is as long as six announcements, with little silence."""
    samples = np.abs(np.frombuffer(pcm, np.int16).astype(float))
    windows = samples[: len(samples) // 480 * 480].reshape(-1, 480).mean(axis=1)
    assert MIN_SPEECH_S < len(samples) / rate < MAX_SPEECH_S
    assert (windows > 100).mean() > 0.6


def check_file(file: Path) -> None:
    with wave.open(str(file)) as heard:
        check_speech(heard.readframes(heard.getnframes()), heard.getframerate())


def test_demo_into_file(demos: dict[str, Demo]) -> None:
    demo = demos["named"]
    out = demo.out()
    assert f"Plays into {demo.home}/named.wav." in " ".join(out.split())
    check_table(out)
    assert out.endswith("┘\nEvery announcement ended as expected.\n")
    assert out.count("Every announcement") == 1
    check_file(demo.home / "named.wav")


def test_demo_without_sound_card_writes_file(demos: dict[str, Demo]) -> None:
    demo = demos["no card"]
    out = demo.out()
    said = " ".join(out.split())
    assert f"Plays into {demo.home}/edgevoice-demo.wav (" in said
    assert "there is no sound card" in said
    check_table(out)
    check_file(demo.home / "edgevoice-demo.wav")


def test_demo_on_sound_card(demos: dict[str, Demo], pulse: Pulse) -> None:
    demo = demos["card"]
    out = demo.out()
    assert out.startswith("Plays on the sound card.")
    check_table(out)
    check_speech(pulse.without_silence(), pulse.rate)
    assert list(demo.home.glob("*.wav")) == []


@pytest.mark.parametrize("file", ["none/demo.wav", "."])
def test_unwritable_file_is_status_2(tmp_path: Path, file: str) -> None:
    with Demo(tmp_path, "--wav", file) as demo:
        status, err = demo.ended()
    assert status == 2
    assert "cannot be written (" in err
    assert "--wav" in err
    assert (tmp_path / "out").read_text() == ""


def test_demo_never_uses_key_or_configuration(demos: dict[str, Demo]) -> None:
    for demo in demos.values():
        demo.out()
        (configuration,) = demo.home.rglob("edgevoice.yaml")
        assert configuration.read_text() == BROKEN
        for file in demo.home.rglob("*"):
            assert not file.is_file() or CANARY.encode() not in file.read_bytes()
        assert "nodde" not in (demo.home / "out").read_text()


def test_speech_has_same_length_everywhere(demos: dict[str, Demo]) -> None:
    lengths = []
    for name, file in (("named", "named.wav"), ("no card", "edgevoice-demo.wav")):
        demos[name].out()
        with wave.open(str(demos[name].home / file)) as heard:
            lengths.append(heard.getnframes() / heard.getframerate())
    assert lengths[0] == pytest.approx(lengths[1], abs=1)
