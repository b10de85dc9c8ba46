"""Mistakes that no single value shows: names that clash, models that are gone, routes that lead nowhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from msgspec import UNSET

from edgevoice.audio.chimes import NO_CHIME, Chimes
from edgevoice.config.options import AUTO, FALLBACK_ALIAS, max_clip_bytes
from edgevoice.config.validation import printable
from edgevoice.errors import InvalidAnnouncement
from edgevoice.intake.payload import check_text
from edgevoice.paths import relative_to_config
from edgevoice.speaker.quiet import minute_of_day
from edgevoice.text.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgevoice.config.options import CoreOptions, QuietHours, Route
    from edgevoice.config.validation import Validator
    from edgevoice.plugin import SpeechOptions
    from edgevoice.plugin_loader import Plugins

PACE = 15
"""Characters of speech in a second."""


def check_semantics(
    checker: Validator, core: CoreOptions, speech: SpeechOptions, plugins: Plugins, file: Path | None
) -> None:
    """Tell the mistakes of a configuration whose every value is of its type."""
    _names(checker, core)
    _times(checker, core)
    _chimes(checker, core, file)
    if core.hedging is True and speech.concurrency < 2:
        sections = [kind.section or name for name, kind in plugins.transports.items() if kind.account]
        option = f"{sections[0]}.concurrency" if sections else "concurrency"
        message = f"needs two requests at once: raise {option} if the account allows them"
        checker.mistake(("hedging",), message)
    _phrases(checker, core, speech)
    if core.routes is not UNSET:
        _routes(checker, core.routes, plugins)


def _names(checker: Validator, core: CoreOptions) -> None:
    if core.node == "all":
        checker.mistake(("node",), "'all' is taken: it means every speaker")
    for name, speaker in core.speakers.items():
        if not re.fullmatch("[a-z0-9_-]{1,64}", name):
            checker.mistake(("speakers", name), "a speaker's name is 1 to 64 of a-z 0-9 _ -")
        if name == "all":
            checker.mistake(("speakers", name), "'all' is taken: it means every speaker")
        for index, group in enumerate(speaker.groups):
            path = ("speakers", name, "groups", index)
            if group == "all":
                checker.mistake(path, "every speaker answers to 'all' already")
            elif group in core.speakers:
                checker.mistake(path, f"{group!r} is the name of a speaker; a group needs one of its own")


def _times(checker: Validator, core: CoreOptions) -> None:
    """The time zone and every window of quiet hours."""
    if core.timezone is not None:
        try:
            ZoneInfo(core.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            close = closest(core.timezone, available_timezones()).split("; ")[0][:200]
            checker.mistake(("timezone",), f"no time zone is called {core.timezone!r}; {close}")
    windows: list[tuple[tuple[str | int, ...], QuietHours]] = [
        (("quiet_hours", index), window) for index, window in enumerate(core.quiet_hours)
    ]
    for name, speaker in core.speakers.items():
        own = speaker.quiet_hours or ()
        windows += [(("speakers", name, "quiet_hours", index), window) for index, window in enumerate(own)]
    for path, window in windows:
        for key, value in (("from", window.start), ("to", window.end)):
            try:
                minute_of_day(value)
            except ValueError as error:
                checker.mistake((*path, key), str(error))


def _chimes(checker: Validator, core: CoreOptions, file: Path | None) -> None:
    """The folder of chimes, and the names of those that are used."""
    folder = relative_to_config(core.chimes_dir, file) if core.chimes_dir else None
    if folder is not None and not folder.is_dir():
        checker.mistake(("chimes_dir",), f"there is no folder {folder}")
        folder = None
    chimes = Chimes(folder)
    for name, problem in chimes.problems():
        checker.mistake(("chimes_dir",), f"{name}.wav cannot be used: {problem}")
    given = core.chime if isinstance(core.chime, dict) else {}
    named: dict[tuple[str, ...], str] = {("chime", str(urgency)): name for urgency, name in given.items()}
    if isinstance(core.chime, str):
        named = {("chime",): core.chime}
    for path, name in named.items():
        if name != NO_CHIME and name not in chimes.names:
            checker.mistake(path, f"no chime is called {name!r}; {closest(name, [*chimes.names, NO_CHIME])}")


def _phrases(checker: Validator, core: CoreOptions, speech: SpeechOptions) -> None:
    """Whether each can be said, and all be kept."""
    texts = [phrase if isinstance(phrase, str) else phrase.text for phrase in core.phrases]
    if texts and not core.cache.enabled:
        checker.mistake(("phrases",), "there is no cache to keep them in: set `cache.enabled: true`")
    for index, text in enumerate(texts):
        path = ("phrases", index) if isinstance(core.phrases[index], str) else ("phrases", index, "text")
        try:
            check_text(text)
        except InvalidAnnouncement as refusal:
            checker.mistake(path, f"{refusal.reason}; it has to be {refusal.allowed}")
    _room(checker, core, speech, texts)


def _room(checker: Validator, core: CoreOptions, speech: SpeechOptions, texts: Sequence[str]) -> None:
    """Whether phrases fit into the cache, by the usual pace of speech."""
    room = core.cache.max_mb * 1_000_000
    sizes = [len(text) / PACE * speech.sample_rate * 2 for text in texts]
    for index, size in enumerate(sizes):
        if size > max_clip_bytes(room):
            most = f"{max_clip_bytes(room) / 1e6:.1f} MB"
            checker.warnings.append(
                f"{printable(('phrases', index))}: probably too long to be kept (over {most})"
            )
    if sum(sizes) > room:
        needed = f"about {sum(sizes) / 1e6:.0f} MB"
        checker.warnings.append(f"phrases: {needed} are needed to keep them all, more than cache.max_mb")


def _routes(checker: Validator, routes: tuple[Route, ...], plugins: Plugins) -> None:
    if not routes or routes[-1].when is not None:
        checker.mistake(
            ("routes",), "the last route has to have no `when`, so that every announcement has one"
        )
    for index, route in enumerate(routes):
        if route.when is None and index < len(routes) - 1:
            checker.mistake(
                ("routes", index), "without a `when` it takes all, and those after it never apply"
            )
        _use(checker, route.use, ("routes", index, "use"), plugins.transports)


def _use(
    checker: Validator,
    use: tuple[str, ...] | str,
    path: tuple[str | int, ...],
    transports: Mapping[str, object],
) -> None:
    if use == AUTO:
        return
    if isinstance(use, str):
        checker.mistake(path, f"has to be {AUTO}, or a list of transports, such as [{use}]")
        return
    if AUTO in use:
        checker.mistake(path, f"{AUTO} stands alone, as use: {AUTO}; it has every transport in it")
        return
    if not use:
        checker.mistake(path, "has to name at least one transport")
    if len(set(use)) < len(use):
        checker.mistake(path, "names a transport twice; each is tried once")
    for index, name in enumerate(use):
        if name not in transports and name != FALLBACK_ALIAS:
            checker.mistake((*path, index), f"no transport is called {name!r}; {closest(name, transports)}")
