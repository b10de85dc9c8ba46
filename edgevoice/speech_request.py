"""The request that an announcement makes of a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.plugin import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgevoice.announcement import Announcement
    from edgevoice.plugin import SpeechOptions


def speech_request(
    announcement: Announcement,
    options: SpeechOptions,
    *,
    text: str | None = None,
    text_stream: AsyncIterator[str] | None = None,
) -> SpeechRequest:
    """Build the request for a part of an announcement, with the node's defaults for what it leaves open."""
    return SpeechRequest(
        id=announcement.id,
        text=text,
        text_stream=text_stream,
        sample_rate=options.sample_rate,
        urgency=announcement.urgency,
        voice=announcement.voice,
        language=announcement.language or options.language,
        speed=announcement.speed or options.speed,
    )
