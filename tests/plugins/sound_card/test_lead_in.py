import asyncio
from pathlib import Path

import msgspec
import pytest

from edgevoice_plugins.sound_card.lead_in import LeadIn, LeadInTracker, choose, sink_name
from edgevoice_plugins.sound_card.output import Options


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bluez_output.AA_BB_CC.1", "a Bluetooth sink"),
        ("alsa_output.pci-0000_03_00.1.hdmi-stereo", "an HDMI sink"),
        ("vc4-hdmi-0: MAI PCM i2s-hifi-0 (hw:0,0)", "an HDMI sink"),
        ("alsa_output.pci-0000_00_1f.3.iec958-stereo", "an S/PDIF sink"),
        ("USB Audio Device: - (hw:1,0)", "a USB sink"),
        ("alsa_output.usb-Generic_USB_Audio-00.analog-stereo", "a USB sink"),
    ],
)
def test_choose_knows_the_kind_by_name(name: str, reason: str) -> None:
    found = choose("auto", None, ("default", name))
    assert found.reason == reason
    assert found.duration_s > 0


@pytest.mark.parametrize(
    "name", ["default", "bcm2835 Headphones: - (hw:0,0)", "HDA Intel PCH: ALC257 Analog (hw:0,0)"]
)
def test_choose_unknown_kind_gets_none(name: str) -> None:
    assert choose("auto", None, (name,)).duration_s == 0


def test_choose_prefers_the_configuration() -> None:
    assert choose(300, 20, ("usb",)) == LeadIn(0.3, 20, "as configured")
    assert choose(0, None, ("usb",)).duration_s == 0
    assert choose("auto", 20, ("usb",)) == LeadIn(0.2, 20, "a USB sink")


def test_tracker_measures_the_silence() -> None:
    now = 100.0
    tracker = LeadInTracker("kitchen", Options(lead_in_ms=300), lambda: now)
    assert tracker.needed_s() == 0.3
    tracker.sound_ended()
    assert tracker.needed_s() == 0
    now += 5
    assert tracker.needed_s() == 0
    now += 0.1
    assert tracker.needed_s() == 0.3


def test_tracker_chooses_again_for_a_new_name() -> None:
    tracker = LeadInTracker("kitchen", Options(device="card 1"), lambda: 0.0)
    assert tracker.needed_s() == 0
    tracker.add_name("HDMI 0")
    assert tracker.needed_s() == 1.0


async def test_sink_name_only_where_the_sound_server_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SINK", "alsa_output.usb")
    assert await sink_name("Default") == "alsa_output.usb"
    assert await sink_name("Attic-Speaker") is None


@pytest.mark.parametrize("pactl", [None, "exit 1", "echo Default Sink:", "exec sleep 60"])
async def test_sink_name_unknown_without_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pactl: str | None
) -> None:
    monkeypatch.delenv("PULSE_SINK", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if pactl else str(tmp_path))
    if pactl:
        (tmp_path / "pactl").write_text(f"#!/bin/sh\n{pactl}\n")
        (tmp_path / "pactl").chmod(0o755)
    async with asyncio.timeout(10):
        assert await sink_name("default") is None


@pytest.mark.parametrize(
    "wrong",
    [{"lead_in": "soon"}, {"lead_in": -1}, {"lead_in": 5001}, {"lead_in_after": -1}, {"lead_in": 0.5}],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Options)


def test_options_keep_the_keys_of_the_configuration() -> None:
    options = msgspec.convert({"lead_in": 250, "lead_in_after": 9}, Options)
    assert (options.lead_in_ms, options.lead_in_after_s) == (250, 9)
