"""Medians, 95th percentiles and paired differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Figure(msgspec.Struct, frozen=True):
    """The summary of `n` values, in the unit of their finding."""

    median: float
    p95: float
    n: int


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of all values lie, interpolated between its neighbours.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def figure(values: Sequence[float]) -> Figure | None:
    """Return the summary of some values, rounded to a thousandth; None without values."""
    if not values:
        return None
    return Figure(round(median(values), 3), round(quantile(values, 0.95), 3), len(values))


def paired(values: Sequence[float | None], baseline: Sequence[float | None]) -> list[float]:
    """Return value minus baseline for each round in which both are known."""
    pairs = zip(values, baseline, strict=True)
    return [value - base for value, base in pairs if value is not None and base is not None]


def figures(columns: Mapping[str, Sequence[float | None]]) -> dict[str, Figure]:
    """Return the summary of each column that has a value."""
    known = {
        name: figure([value for value in column if value is not None]) for name, column in columns.items()
    }
    return {name: found for name, found in known.items() if found is not None}


def differences(
    columns: Mapping[str, Sequence[float | None]], baseline: Sequence[float | None]
) -> dict[str, Figure]:
    """Return the summary of the paired differences of each column from the baseline, which may be longer."""
    return figures({name: paired(column, baseline[: len(column)]) for name, column in columns.items()})


def describe_lost(columns: Mapping[str, Sequence[float | None]]) -> str:
    """Return a text with the number of rounds without a value by column; "" if there are none."""
    missing = {name: sum(value is None for value in column) for name, column in columns.items()}
    told = (f"{name} {count} of {len(columns[name])}" for name, count in missing.items() if count)
    return ", ".join(told)


def is_reached(columns: Mapping[str, Sequence[float | None]], goal: Callable[[Figure], bool]) -> bool | None:
    """Return whether each column reaches a goal; None if all known values do, but some are missing."""
    found = figures(columns)
    if not all(goal(figure) for figure in found.values()):
        return False
    return True if found and len(found) == len(columns) and not describe_lost(columns) else None
