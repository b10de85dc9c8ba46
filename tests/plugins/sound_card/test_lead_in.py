from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgevoice_plugins.sound_card import calibration, lead_in
from edgevoice_plugins.sound_card.lead_in import LeadIn, Learned, choose
from edgevoice_plugins.sound_card.options import Options


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bluez_output.AA_BB_CC.1", "a Bluetooth sink"),
        ("alsa_output.pci-0000_03_00.1.hdmi-stereo", "an HDMI sink"),
        ("vc4-hdmi-0: MAI PCM i2s-hifi-0 (hw:0,0)", "an HDMI sink"),
        ("alsa_output.pci-0000_00_1f.3.iec958-stereo", "an S/PDIF sink"),
        ("USB Audio Device: - (hw:1,0)", "a USB sink"),
        ("alsa_output.usb-Generic_USB_Audio-00.analog-stereo", "a USB sink"),
    ],
)
def test_a_sink_that_is_known_to_sleep_gets_a_lead_in_by_its_name(name: str, why: str) -> None:
    found = choose(None, None, None, ("default", name))
    assert found.why == why
    assert found.seconds > 0


@pytest.mark.parametrize(
    "name", ["default", "bcm2835 Headphones: - (hw:0,0)", "HDA Intel PCH: ALC257 Analog (hw:0,0)"]
)
def test_any_other_sink_gets_none(name: str) -> None:
    assert choose(None, None, None, (name,)).seconds == 0


def test_what_is_configured_stands_above_what_was_learned_and_that_above_the_kind() -> None:
    learned = Learned(lead_in=450, after=8)
    assert choose(None, None, learned, ("usb",)) == LeadIn(0.45, 8, "measured by `edgevoice calibrate`")
    assert choose(300, 20, learned, ("usb",)) == LeadIn(0.3, 20, "as configured")
    assert choose(0, None, learned, ("usb",)).seconds == 0
    assert choose(None, 20, None, ("usb",)).after == 20


def test_it_is_needed_at_first_and_after_a_sleep_and_not_in_between() -> None:
    found = LeadIn(0.3, 5, "")
    assert [found.needed(slept) for slept in (None, 0.1, 5, 5.1)] == [0.3, 0, 0, 0.3]


def test_what_was_learned_is_kept_for_each_device(tmp_path: Path) -> None:
    lead_in.save(tmp_path, "default", Learned(200, 4))
    lead_in.save(tmp_path, "USB", Learned(0, 5))
    lead_in.save(tmp_path, "default", Learned(250, 4))
    assert lead_in.load(tmp_path) == {"default": Learned(250, 4), "USB": Learned(0, 5)}


@pytest.mark.parametrize("text", ["", "{", '{"default": {"lead_in": 99999, "after": 1}}', "[]"])
def test_what_was_damaged_counts_as_nothing_learned(tmp_path: Path, text: str) -> None:
    (tmp_path / lead_in.LEARNED).write_text(text)
    assert lead_in.load(tmp_path) == {}


@pytest.mark.parametrize(
    "wrong",
    [{"lead_in": "soon"}, {"lead_in": -1}, {"lead_in": 5001}, {"lead_in_after": -1}, {"lead_in": 0.5}],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Options)


def recorded(lost: float, *, noise: float = 0.0, hole: float | None = None) -> bytes:
    """The tone as a microphone hears it, quieter, some time after it began, without its first seconds."""
    tone = np.frombuffer(calibration.tone(), "<i2") * 0.2
    tone[: round(lost * calibration.RATE)] = 0
    if hole is not None:
        tone = np.insert(tone, round(hole * calibration.RATE), np.zeros(480))
    heard = np.concatenate([np.zeros(7001), tone, np.zeros(20000)])
    heard += np.random.default_rng(1).normal(0, 1 + noise * 2000, len(heard))
    return heard.astype("<i2").tobytes()


@pytest.mark.parametrize("lost", [0.0, 0.06, 0.2, 0.51, 1.5, 2.6])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_what_the_recording_lacks_of_the_beginning_is_found(lost: float, noise: float) -> None:
    assert calibration.lost_seconds(recorded(lost, noise=noise)) == pytest.approx(lost, abs=0.03)


def test_a_hole_later_on_is_not_taken_for_the_beginning() -> None:
    assert calibration.lost_seconds(recorded(0.2, hole=0.9)) == pytest.approx(0.2, abs=0.03)


def test_a_recording_without_the_tone_is_told_from_one_that_lost_some_of_it() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 100_000).astype("<i2").tobytes()
    assert [calibration.lost_seconds(heard) for heard in (b"", bytes(100_000), noise)] == [None, None, None]


def test_the_lead_in_makes_up_for_the_worst_and_comes_after_the_longest_sleep_that_did_no_harm() -> None:
    lost = [(float("inf"), 0.21), (2.0, 0.0), (4.0, 0.01), (8.0, 0.18), (15.0, 0.23)]
    assert calibration.learn(lost) == Learned(lead_in=300, after=4.0)


def test_where_nothing_was_lost_no_lead_in_is_learned() -> None:
    assert calibration.learn([(float("inf"), 0.0), (2.0, 0.02)]).lead_in == 0
