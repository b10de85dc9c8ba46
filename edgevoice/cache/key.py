"""The cache key: a hash of everything that changes how a text sounds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings
    from edgevoice.config.options import Lightning

#: Version of the key's ingredients and of the file format.
VERSION = 1
#: Stands for the address of the daemon's own server, whose port changes at each start.
LOOPBACK = "this machine"


@dataclass(frozen=True, slots=True)
class KeyScheme:
    """The ingredients of a key that are the same for all announcements."""

    lightning: Lightning
    #: Root URL of the server.
    root: str
    #: Transports that do not speak with the account's voice; their clips are not cached.
    other_voices: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, api_key: str | None) -> KeyScheme:
        lightning = settings.core.lightning
        is_own_server = api_key is None and lightning.base_url is None
        others = [name for name, kind in settings.plugins.transports.items() if not kind.metered]
        return cls(lightning, LOOPBACK if is_own_server else lightning.root, frozenset(others))

    def key(self, announcement: Announcement, text: str | None) -> str | None:
        """Return the key of the clip in which the announcement says `text`: 40 hexadecimal digits.

        None for what is never cached: live text, private announcements, other voices.
        """
        if text is None or announcement.private or announcement.transport in self.other_voices:
            return None
        lightning = self.lightning
        ingredients = (
            VERSION,
            self.root,
            lightning.model,
            announcement.voice or lightning.voice,
            announcement.language or lightning.language,
            float(announcement.speed or lightning.speed),
            lightning.sample_rate,
            lightning.pronunciation_dicts,
            text.strip(),
        )
        # repr, because a text may hold lone surrogates, which cannot be encoded.
        return hashlib.blake2b(repr(ingredients).encode(), digest_size=20).hexdigest()
