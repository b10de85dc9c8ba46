"""Volume, mute and do not disturb of a speaker, as they are set from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevoice.errors import InvalidAnnouncement

if TYPE_CHECKING:
    from edgevoice.speaker.speaker import Speaker

ON = frozenset({"on", "true", "1"})
OFF = frozenset({"off", "false", "0"})
LONGEST_DND = 7 * 24 * 60


def switch(speaker: Speaker, what: str, value: str) -> None:
    """Set one switch of a speaker.

    Raises:
        Refused: a value that is not allowed.
    """
    if what == "volume":
        _volume(speaker, value)
    elif what == "mute":
        speaker.presence.mute = _on(what, value)
    elif value.isascii() and value.isdigit() and int(value[:6]) > 1:
        if int(value[:6]) > LONGEST_DND:
            raise InvalidAnnouncement(
                "too long", key="dnd", allowed=f"ON, OFF, or up to {LONGEST_DND} minutes"
            )
        speaker.presence.set_dnd(minutes=int(value))
    else:
        speaker.presence.set_dnd(on=_on(what, value))
    speaker.tick()


def _volume(speaker: Speaker, value: str) -> None:
    try:
        speaker.presence.set_volume(value)
    except ValueError:
        raise InvalidAnnouncement(
            f"{value[:20]!r}", key="volume", allowed="0 to 100, or a step such as +5 or -5"
        ) from None


def _on(what: str, value: str) -> bool:
    word = value.lower()
    if word in ON:
        return True
    if word in OFF:
        return False
    minutes = ", or a number of minutes" if what == "dnd" else ""
    raise InvalidAnnouncement(f"{value[:20]!r}", key=what, allowed=f"ON, OFF, true, false, 1 or 0{minutes}")
