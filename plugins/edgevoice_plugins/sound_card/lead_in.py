"""Lead-in: silence before the first sound, for a sink that was suspended and loses the first word.

How long it is follows from the options, else from the kind of sink, which its name tells. When it is needed
follows from how long the sink has been silent. See docs/decisions/lead-in.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from edgevoice_plugins.sound_card.output import Options

logger = logging.getLogger(__name__)

#: PulseAudio (module-suspend-on-idle) and WirePlumber suspend a sink that was silent for this long.
SUSPEND_AFTER_S = 5.0
#: Words in the name of a sink, in lower case, and the lead-in in seconds of its kind. The first match counts.
DEFAULTS = (
    # Loses 1 to 2 s (blueman issue 2976).
    (("bluez", "bluetooth", "a2dp"), 1.0, "a Bluetooth sink"),
    # The worst receivers mute the first 2 to 3 s (Linux, CONFIG_SND_HDA_INTEL_HDMI_SILENT_STREAM), most less.
    (("hdmi", "displayport"), 1.0, "an HDMI sink"),
    (("iec958", "spdif", "s/pdif"), 0.5, "an S/PDIF sink"),
    (("usb",), 0.2, "a USB sink"),
)
#: Devices for which the sound server chooses the sink.
ROUTED_DEVICES = frozenset({"default", "sysdefault", "pulse", "pipewire"})
PACTL_TIMEOUT_S = 2.0

_DEFAULT_SINK = re.compile(r"^Default Sink: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LeadIn:
    """Silence of `duration_s` before the first sound after more than `after_s` seconds without one."""

    duration_s: float
    after_s: float
    #: Why it is this long, for the log.
    reason: str


class LeadInTracker:
    """The lead-in of one output, and whether the next sound needs it."""

    def __init__(self, speaker: str, options: Options, clock: Callable[[], float]) -> None:
        self._speaker = speaker
        self._options = options
        self._clock = clock
        self._names = {options.device}
        self._last_sound_at: float | None = None
        self._sink_query: asyncio.Task[None] | None = None
        self.lead_in = self._choose()

    async def __aenter__(self) -> Self:
        # In the background: a frozen sound server does not answer.
        if self._options.lead_in_ms == "auto":
            self._sink_query = asyncio.create_task(self._query_sink())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink_query is not None:
            self._sink_query.cancel()
            await asyncio.wait({self._sink_query})

    def add_name(self, name: str) -> None:
        """Choose again, knowing one more name of the device."""
        self._names.add(name)
        chosen = self._choose()
        if chosen != self.lead_in and chosen.duration_s:
            logger.info(
                "%s: %.0f ms of silence before the first sound after %g s without one: %s",
                *(self._speaker, chosen.duration_s * 1000, chosen.after_s, chosen.reason),
            )
        self.lead_in = chosen

    def needed_s(self) -> float:
        """Return the seconds of silence that must precede a sound now."""
        sounded_at = self._last_sound_at
        is_awake = sounded_at is not None and self._clock() - sounded_at <= self.lead_in.after_s
        return 0.0 if is_awake else self.lead_in.duration_s

    def sound_ended(self) -> None:
        """Note that there was sound until now."""
        self._last_sound_at = self._clock()

    async def _query_sink(self) -> None:
        if name := await sink_name(self._options.device):
            self.add_name(name)

    def _choose(self) -> LeadIn:
        return choose(self._options.lead_in_ms, self._options.lead_in_after_s, self._names)


def choose(configured_ms: int | str, after_s: float | None, names: Iterable[str]) -> LeadIn:
    """Return the lead-in as configured; for `auto`, the default of the kind of sink that `names` tell."""
    after_s = SUSPEND_AFTER_S if after_s is None else after_s
    if isinstance(configured_ms, int):
        return LeadIn(configured_ms / 1000, after_s, "as configured")
    known = " ".join(names).casefold()
    for words, duration_s, kind in DEFAULTS:
        if any(word in known for word in words):
            return LeadIn(duration_s, after_s, kind)
    return LeadIn(0.0, after_s, "a sink of unknown kind")


async def sink_name(device: str) -> str | None:
    """Return the sound server's name of the sink that a device plays on; None if it cannot be known.

    PulseAudio and PipeWire name a sink after its hardware: `alsa_output.usb-...`, `bluez_output...`,
    `...hdmi-stereo`.
    """
    if device.casefold() not in ROUTED_DEVICES:
        return None
    return os.environ.get("PULSE_SINK") or await asyncio.to_thread(_default_sink)


def _default_sink() -> str | None:
    try:
        answer = subprocess.run(
            ["pactl", "info"],
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PACTL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # no PulseAudio tools, or a server that does not answer
        return None
    found = _DEFAULT_SINK.search(answer.stdout.decode(errors="replace"))
    return found[1].strip() if found else None
