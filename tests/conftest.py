"""What every test may ask for: a broker, a Lightning server, a sound server; and nothing of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.broker import Broker
from tests.support.lightning import LightningServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


IN_REAL_TIME = ("daemon", "sound_card")
"""Tests that listen to sound as it is played. A machine that is busy with something else may drop samples,
so each may be run three times: a fault of the daemon's own shows in all of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(part.startswith(IN_REAL_TIME) for part in item.path.parts):
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SMALLEST_API_KEY", "EDGEVOICE_CONFIG", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A real mosquitto, shared by the tests of one module."""
    with Broker() as broker:
        yield broker


@pytest.fixture
async def lightning() -> AsyncIterator[LightningServer]:
    """A Lightning server whose speech is known."""
    async with LightningServer() as server:
        yield server
