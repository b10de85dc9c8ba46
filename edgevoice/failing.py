"""What becomes of a transport that failed: what is left to try, and what is told of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgevoice.announcement import Urgency
from edgevoice.errors import AccountRefused, TransportError
from edgevoice.routing import LOCAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgevoice.announcement import Announcement
    from edgevoice.speech import Speech

logger = logging.getLogger(__name__)


class LateError(TransportError):
    """The first audio did not come in time."""


def after(error: TransportError, announcement: Announcement, left: Sequence[str]) -> list[str]:
    """What is left to try after the first of `left` failed."""
    late = isinstance(error, LateError) and announcement.urgency is Urgency.CRITICAL
    if late or isinstance(error, AccountRefused):
        return [name for name in left[1:] if name == LOCAL]
    return list(left[1:])


def all_failed(speech: Speech) -> str:
    tried = "; ".join(f"{attempt.transport}: {attempt.error}" for attempt in speech.attempts)
    return f"no transport spoke ({tried})" if tried else "no transport is available"


def broke(name: str, error: Exception) -> TransportError:
    """What a transport raised that it should not have; there may be another that speaks."""
    logger.error("transport %s broke", name, exc_info=error)
    return TransportError(f"broke: {type(error).__name__}: {error}")
