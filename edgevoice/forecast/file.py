"""Keeps a forecast over a restart: a small file in the state folder, written once an hour and at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from edgevoice.forecast.estimate import LatencyEstimator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from edgevoice.forecast.forecast import LatencyModel

logger = logging.getLogger(__name__)

EVERY = 3600.0
"""Seconds between two writings: an SD card wears out by them."""
KEPT = 7 * 86_400.0
"""Seconds after which what was learned says nothing any more."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds; `saved` is seconds since 1970, and each estimate's `at` is relative to it."""

    version: Literal[1] = 1
    saved: float
    transports: dict[str, LatencyEstimator]


class ForecastFile:
    """Use as `async with`: entering gives the forecast what it knew, leaving keeps what it knows.

    A file that is missing, damaged or of another version is as good as none; a disk that refuses is logged.
    `wall` is the clock that goes on over a restart.
    """

    def __init__(self, path: Path, forecast: LatencyModel, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._forecast = forecast
        self._wall = wall
        self._written: dict[str, LatencyEstimator] = {}

    async def __aenter__(self) -> Self:
        kept = await asyncio.to_thread(self._read)
        age = self._wall() - kept.saved if kept is not None else 0.0
        if kept is not None and age < KEPT:
            now = self._forecast.now()
            # A clock that was set back tells no age.
            moved = {name: old.moved(now - max(0.0, age)) for name, old in kept.transports.items()}
            self._forecast.estimates.update(moved)
            self._written = dict(self._forecast.estimates)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._save()

    async def run(self) -> None:
        """Write it down from time to time, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            await self._save()

    async def _save(self) -> None:
        if self._forecast.estimates == self._written:
            return
        self._written, now = dict(self._forecast.estimates), self._forecast.now()
        transports = {name: estimate.moved(-now) for name, estimate in self._written.items()}
        kept = Kept(saved=self._wall(), transports=transports)
        try:
            await asyncio.to_thread(self._write, msgspec.json.encode(kept))
        except OSError as error:
            logger.warning(
                "%s cannot be written (%s): what was measured is lost at the end", self._path, error
            )

    def _read(self) -> Kept | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            logger.info("%s cannot be used (%s): the transports are measured anew", self._path, error)
            return None

    def _write(self, text: bytes) -> None:
        """Replace the file as a whole; a power cut leaves the old one or the new one."""
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
