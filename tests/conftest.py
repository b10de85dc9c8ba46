"""What every test may ask for: a broker, a Lightning server, a sound server; and nothing of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.broker import Broker
from tests.support.lightning import LightningServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


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
