"""How much silence goes before the first sound, and after how long a sleep: configured, learned, or by the kind of sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from pathlib import Path

LEARNED = "lead-in.json"
LONGEST_MS = 5000
ASLEEP_S = 5.0
"""A sink without sound for so long is put to sleep by PulseAudio (module-suspend-on-idle) and by WirePlumber."""


@dataclass(frozen=True, slots=True)
class LeadIn:
    """Silence of `seconds` before the first sound, when there was none for longer than `after` seconds."""

    seconds: float
    after: float
    why: str

    def needed(self, slept: float | None) -> float:
        """Seconds of silence after a sleep of so many seconds; None: nothing was played yet."""
        return self.seconds if slept is None or slept > self.after else 0.0


BY_KIND = (
    # The beginning is lost for 1 to 2 s (blueman issue 2976).
    (("bluez", "bluetooth", "a2dp"), 1.0, "a Bluetooth sink"),
    # Receivers mute the first 2 to 3 s at worst (Linux, CONFIG_SND_HDA_INTEL_HDMI_SILENT_STREAM), most of them less.
    (("hdmi", "displayport"), 1.0, "an HDMI sink"),
    (("iec958", "spdif", "s/pdif"), 0.5, "an S/PDIF sink"),
    (("usb",), 0.2, "a USB sink"),
)
"""What a sink's name holds, in small letters, and how long sinks of that kind sleep on; the first that fits."""


class Learned(msgspec.Struct, frozen=True):
    """What `edgevoice calibrate` has measured of a device: ms of silence after so many seconds of sleep."""

    lead_in: Annotated[int, Meta(ge=0, le=LONGEST_MS)]
    after: Annotated[float, Meta(ge=0)]


def choose(
    configured: int | None, after: float | None, learned: Learned | None, names: tuple[str, ...]
) -> LeadIn:
    """The lead-in of a sink: ms and s as configured (None: not), else as learned, else by its `names`."""
    if configured is not None:
        found = LeadIn(configured / 1000, ASLEEP_S, "as configured")
    elif learned is not None:
        found = LeadIn(learned.lead_in / 1000, learned.after, "measured by `edgevoice calibrate`")
    else:
        found = by_kind(names)
    return found if after is None else LeadIn(found.seconds, after, found.why)


def by_kind(names: tuple[str, ...]) -> LeadIn:
    """The lead-in of a sink that goes by these names; one whose kind they do not tell gets none."""
    known = " ".join(names).casefold()
    for words, seconds, kind in BY_KIND:
        if any(word in known for word in words):
            return LeadIn(seconds, ASLEEP_S, kind)
    return LeadIn(0.0, ASLEEP_S, "nothing says that it sleeps")


def load(state_dir: Path) -> dict[str, Learned]:
    """What was learned, by device; nothing where it cannot be read."""
    try:
        return msgspec.json.decode((state_dir / LEARNED).read_bytes(), type=dict[str, Learned])
    except (OSError, msgspec.DecodeError):
        return {}


def save(state_dir: Path, device: str, learned: Learned) -> None:
    """Keep what was learned of a device; raises OSError."""
    path = state_dir / LEARNED
    known = msgspec.json.format(msgspec.json.encode(load(state_dir) | {device: learned}))
    beside = path.with_suffix(".new")
    beside.write_bytes(known + b"\n")
    beside.replace(path)
