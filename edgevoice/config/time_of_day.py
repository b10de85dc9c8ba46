"""Times of day as the configuration writes them."""

from __future__ import annotations

MINUTES_PER_DAY = 24 * 60


def minute_of_day(value: int | str) -> int:
    """Return the minutes after midnight of "22:00".

    YAML 1.1 reads an unquoted 22:00 as the sexagesimal number 1320, which is that very value.

    Raises:
        ValueError: the value is not a time of day.
    """
    error = ValueError(f'expected a time of day such as "22:00", got {value!r}')
    if isinstance(value, str):
        hours, colon, minutes = value.partition(":")
        if not (colon and hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit()):
            raise error
        if len(hours) > 2 or len(minutes) != 2 or int(minutes) > 59:
            raise error
        value = int(hours) * 60 + int(minutes)
    elif value < 60:  # YAML reads 0:30 as text, so this is an hour without its minutes
        raise error
    if not 0 <= value <= MINUTES_PER_DAY:
        raise error
    return value % MINUTES_PER_DAY
