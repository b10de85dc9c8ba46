"""Several speakers on one node: one request to the server, each of them heard, one outcome from each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.house import OUTCOMES, House

if TYPE_CHECKING:
    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

SPEAKERS = ("hall", "kitchen", "attic")


@pytest.fixture
async def house(broker: Broker, lightning: LightningServer) -> Any:
    """A hall and a kitchen downstairs, the kitchen in real time, and an attic."""
    house = House(broker, lightning={"base_url": lightning.url})
    speakers = {
        "hall": house.file("hall", groups=["downstairs"]),
        "kitchen": house.file("kitchen", groups=["downstairs", "loud"], pace=True),
        "attic": house.file("attic"),
    }
    async with House(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        yield house
