import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from edgevoice import OutputError
from edgevoice.cli import edgevoice
from edgevoice_plugins.sound_card.output import Options, SoundCard
from tests.support.outputs import Recorder, context, pieces
from tests.support.pulse import Pulse, noise


@pytest.fixture(scope="module")
def shared() -> Iterator[Pulse]:
    with Pulse() as pulse:
        yield pulse


@pytest.fixture
def pulse(shared: Pulse, monkeypatch: pytest.MonkeyPatch) -> Pulse:
    shared.enter(monkeypatch)
    return shared


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "asound.conf").write_text("pcm.!default { type hw card 77 }\npcm.dmix { type hw card 77 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))


@pytest.mark.parametrize("device", ["default", "pulse", "PULSE", "Attic-Speaker", "attic", "speak"])
async def test_device_by_part_of_its_name(pulse: Pulse, tmp_path: Path, device: str) -> None:
    pcm = noise(2400, len(device) * 7 + ord(device[0]))
    async with SoundCard(context(tmp_path), Options(device=device)) as card:
        await card.probe()
        await card.play(pieces(pcm), 24000, Recorder())
    assert await pulse.hears(pcm)


async def test_probe_is_silent_and_closes(pulse: Pulse, tmp_path: Path) -> None:
    before = pulse.without_silence()
    async with SoundCard(context(tmp_path), Options()) as card:
        await card.probe()
        await card.probe()
        assert pulse.streams() == 0
    await asyncio.sleep(0.1)
    assert pulse.without_silence() == before


async def test_probe_unknown_device_lists_devices(pulse: Pulse, tmp_path: Path) -> None:
    async with SoundCard(context(tmp_path), Options(device="cellar")) as card:
        with pytest.raises(
            OutputError, match=r"no device named 'cellar'.*'pulse', 'Attic-Speaker', 'default'"
        ) as raised:
            await card.probe()
    assert "output: wav_file" in str(raised.value)
    assert "kitchen" in str(raised.value)


@pytest.mark.usefixtures("no_devices")
async def test_no_sound_card_suggests_wav_file(tmp_path: Path) -> None:
    async with SoundCard(context(tmp_path), Options()) as card:
        with pytest.raises(OutputError, match=r"there is no sound card.*output: wav_file"):
            await card.probe()
        progress = Recorder()
        with pytest.raises(OutputError, match="there is no sound card"):
            await card.play(pieces(noise(2400)), 24000, progress)
    assert progress.frames_handed == 0


@pytest.mark.parametrize(
    "wrong", [{"device": 3}, {"device": ""}, {"sample_rate": 7999}, {"sample_rate": 192001}, {"rate": 8000}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Options)


def test_missing_dependency_names_pyaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SoundCard.missing_dependency() is None
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pyaudio", raising=False)
    missing = SoundCard.missing_dependency() or ""
    assert missing.startswith('needs pyaudio: pip install "edgevoice[audio]"')
    assert "portaudio19-dev gcc python3-dev" in missing


@pytest.mark.usefixtures("pulse")
def test_devices_as_text_and_json() -> None:
    listed = CliRunner().invoke(edgevoice, ["devices"])
    assert listed.exit_code == 0
    assert "Attic-Speaker" in listed.output
    found = json.loads(CliRunner().invoke(edgevoice, ["devices", "--json"]).stdout)
    assert {device["name"] for device in found} == {"default", "pulse", "Attic-Speaker"}
    assert [device["name"] for device in found if device["default"]] == ["default"]
    assert all(device["channels"] > 0 and device["sample_rate"] == 44100 for device in found)


@pytest.mark.usefixtures("no_devices")
def test_devices_none_found() -> None:
    listed = CliRunner().invoke(edgevoice, ["devices"])
    assert listed.exit_code == 1
    assert "There is no sound card here" in listed.output
    listed = CliRunner().invoke(edgevoice, ["devices", "--json"])
    assert listed.exit_code == 1
    assert json.loads(listed.stdout) == []


def test_devices_portaudio_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", os.devnull)  # PortAudio aborts on an empty configuration
    listed = CliRunner().invoke(edgevoice, ["devices"])
    assert listed.exit_code == 1
    assert "aplay -L" in listed.output


PROBE = """
import asyncio
from pathlib import Path
from edgevoice_plugins.sound_card.output import Options, SoundCard
from tests.support.outputs import context

async def main():
    async with SoundCard(context(Path(".")), Options()) as card:
        await card.probe()

asyncio.run(main())
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("pulse")
def test_portaudio_messages_are_discarded() -> None:
    probed = run(PROBE)
    assert (probed.returncode, probed.stdout, probed.stderr) == (0, "", "")


@pytest.mark.usefixtures("pulse")
def test_python_errors_of_the_child_reach_stderr(tmp_path: Path) -> None:
    (tmp_path / "pyaudio.py").write_text("def PyAudio():\n    raise RuntimeError('a bug in the child')\n")
    probed = run(PROBE, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert "a bug in the child" in probed.stderr
    assert "OutputError: the sound card of kitchen (default): its process died" in probed.stderr


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("edgevoice_plugins.sound_card_child.player", "edgevoice asyncio msgspec numpy soxr aiohttp"),
        ("edgevoice_plugins.sound_card", "numpy soxr pyaudio aiohttp click"),
        ("edgevoice_plugins.wav_file", "numpy soxr pyaudio aiohttp click"),
    ],
)
def test_import_stays_light(module: str, heavy: str) -> None:
    imported = run(f"import sys, {module}; assert not set({heavy.split()}) & set(sys.modules)")
    assert imported.returncode == 0, imported.stderr
