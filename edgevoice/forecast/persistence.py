"""Keeps what the latency model learned over a restart: in the store, once an hour and at the end."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Self

import msgspec

from edgevoice.forecast.estimate import LatencyEstimator

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edgevoice.forecast.forecast import LatencyModel
    from edgevoice.storage.store import Store

logger = logging.getLogger(__name__)

#: The namespace of the learned values in the store.
NAMESPACE = "latency"
#: Seconds between two writings.
SAVE_EVERY_S = 3600.0
#: Seconds after which what was learned says nothing any more.
MAX_AGE_S = 7 * 86_400.0


class SavedLatency(msgspec.Struct, frozen=True):
    """What was learned of one transport; `saved_at` is UTC seconds, and the estimate's `at` is relative to it."""

    saved_at: float
    estimate: LatencyEstimator


class LatencyPersistence:
    """Use as `async with`: entering gives the model what it knew, leaving keeps what it knows.

    Values of another version, or too old, are ignored. `now` is the clock that continues over a restart.
    """

    def __init__(self, store: Store, model: LatencyModel, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._model = model
        self._now = now
        self._saved: dict[str, LatencyEstimator] = {}

    async def __aenter__(self) -> Self:
        for transport, value in self._store.values(NAMESPACE).items():
            try:
                saved = msgspec.convert(value, SavedLatency)
            except msgspec.ValidationError as error:
                logger.info("the latency of %s is measured anew: %s", transport, error)
                continue
            # A clock that was set back tells no age.
            age_s = max(0.0, self._now() - saved.saved_at)
            if age_s < MAX_AGE_S:
                self._model.estimates[transport] = saved.estimate.moved(self._model.now() - age_s)
        self._saved = dict(self._model.estimates)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()

    async def run(self) -> None:
        """Save from time to time, forever."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            self.save()

    def save(self) -> None:
        """Hand what was learned since the last time to the store."""
        now = self._model.now()
        for transport, estimate in self._model.estimates.items():
            if self._saved.get(transport) != estimate:
                saved = SavedLatency(self._now(), estimate.moved(-now))
                self._store.set_value(NAMESPACE, transport, saved)
        self._saved = dict(self._model.estimates)
