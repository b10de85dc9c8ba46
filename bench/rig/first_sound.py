"""Measures a message from its publication to its first sound."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.rig.sink_monitor import TONE_LEVEL
from bench.server.knobs import tagged_text

if TYPE_CHECKING:
    from bench.rig.contestants import Target
    from bench.rig.rig import Rig
    from bench.rig.sink_monitor import SinkMonitor

SOUND_TIMEOUT_S = 12.0
#: The level at which real speech begins: unlike a tone it does not begin at full level.
SPEECH_LEVEL = 0.02
SETTLE_S = 0.1


@dataclass(frozen=True)
class FirstSound:
    """The seconds from the publication to the first sound, and the part of them that the server took."""

    total_s: float
    server_s: float

    @property
    def added_s(self) -> float:
        return self.total_s - self.server_s

    @property
    def added_ms(self) -> float:
        return self.added_s * 1000


def measure_message(
    rig: Rig, voice: Target, ms: int = 150, *, monitor: SinkMonitor | None = None
) -> FirstSound | None:
    """Publish a new message and measure it; None if it makes no sound, or sounds without a request."""
    number = next(rig.numbers)
    total = measure_text(
        rig, voice, tagged_text(number, ms) if voice.uses_server else "Hello there.", monitor=monitor
    )
    if total is None:
        return None
    if not voice.uses_server:
        return FirstSound(total, 0.0)
    record = rig.server.record(number)
    return FirstSound(total, record.server_s) if record is not None else None


def measure_text(rig: Rig, voice: Target, text: str, *, monitor: SinkMonitor | None = None) -> float | None:
    """Publish a text; return the seconds to its first sound, None if it makes no sound."""
    monitor = monitor or rig.monitor
    monitor.wait_for_silence()
    published = rig.publisher.publish(voice.topic, voice.payload(text))
    position = monitor.first_sound(
        monitor.position_after(published), SOUND_TIMEOUT_S, TONE_LEVEL if voice.uses_server else SPEECH_LEVEL
    )
    if position is None:
        return None
    time.sleep(SETTLE_S)  # the blocks that follow make its time exact
    monitor.wait_for_silence()
    return monitor.time_of(position) - published
