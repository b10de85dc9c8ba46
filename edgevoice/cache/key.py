"""What a speech is made of, and so the name of its clip in the cache: equal names sound alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevoice.announcement import Announcement
    from edgevoice.config import Settings
    from edgevoice.config.options import Lightning

VERSION = 1
"""Of what a name is made from, and of the file it names."""
LOOPBACK = "this machine"
"""Stands for the root of the local voice's own server, whose port is another at each start."""


@dataclass(frozen=True, slots=True)
class KeyScheme:
    """What all speeches have in common.

    `root` is that of the server, `other_voices` are the transports that do not speak with the account's.
    """

    lightning: Lightning
    root: str
    other_voices: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, key: str | None) -> KeyScheme:
        """That of these settings, and the API key there is."""
        lightning = settings.core.lightning
        own = key is None and lightning.base_url is None
        others = [name for name, kind in settings.plugins.transports.items() if not kind.metered]
        return cls(lightning, LOOPBACK if own else lightning.root, frozenset(others))

    def key(self, announcement: Announcement, text: str | None) -> str | None:
        """The name of the clip that says `text`; None for what is never kept: live, private, another voice."""
        if text is None or announcement.private or announcement.transport in self.other_voices:
            return None
        lightning = self.lightning
        made_of = (
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
        # repr, as a text may hold what cannot be encoded.
        return hashlib.blake2b(repr(made_of).encode(), digest_size=20).hexdigest()
