"""The key of a clip in the cache: equal keys sound alike."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgevoice.plugin import speech_request

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings

#: Version of what a key is made of, and of the file it names.
VERSION = 2


class KeyScheme:
    """Derives the cache keys of one configuration.

    The voice enters a key as the transport's own `voice_identity`, so that transports of one service share
    clips and no other voice is taken for theirs. See docs/decisions/plugin-api.md.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kinds = settings.plugins.transports

    @property
    def sample_rate(self) -> int:
        """The rate of the clips in Hz."""
        return self._settings.speech.sample_rate

    def key(self, announcement: Announcement, text: str | None, transport: str) -> str | None:
        """Return the key of `text` as a transport speaks it; None if it is live, private or not cacheable."""
        kind = self._kinds.get(transport)
        if text is None or announcement.private or kind is None:
            return None
        request = speech_request(announcement, self._settings.speech)
        identity = kind.voice_identity(self._settings.transport_options(transport), request)
        if identity is None:
            return None
        made_of = (VERSION, identity, self.sample_rate, text.strip())
        # repr, because a text may hold what cannot be encoded.
        return hashlib.blake2b(repr(made_of).encode(), digest_size=20).hexdigest()
