"""Fixtures for tests of the sound card: a sound server with a monitor, and a card on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edgevoice_plugins.sound_card.output import Options, SoundCard
from tests.support.outputs import context
from tests.support.pulse import Pulse


@pytest.fixture
def pulse(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pulse]:
    with Pulse() as pulse:
        pulse.enter(monkeypatch)
        yield pulse


@pytest.fixture
async def card(pulse: Pulse, tmp_path: Path) -> AsyncIterator[SoundCard]:
    async with SoundCard(context(tmp_path), Options()) as card:
        yield card
