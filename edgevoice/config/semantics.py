"""Issues that no single value shows: names that clash, unknown chimes, routes that lead nowhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from edgevoice.audio.chimes import NO_CHIME, Chimes
from edgevoice.config.options import AUTO, DEFAULT_ROUTES, FALLBACK_ALIAS, max_clip_bytes, minute_of_day
from edgevoice.config.validation import printable
from edgevoice.errors import InvalidAnnouncement
from edgevoice.text.checks import check_text, closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgevoice.config.options import CoreOptions, QuietHours, Route
    from edgevoice.config.validation import Validator
    from edgevoice.plugin import SpeechOptions
    from edgevoice.plugin_loader import Plugins

#: Characters that are spoken in a second, roughly.
CHARS_PER_SECOND = 15


def check_semantics(validator: Validator, core: CoreOptions, speech: SpeechOptions, plugins: Plugins) -> None:
    """Report the issues of a configuration whose values all have the right type."""
    _names(validator, core)
    _times(validator, core)
    _chimes(validator, core)
    if core.hedging is True and speech.concurrency < 2:
        sections = [kind.section or name for name, kind in plugins.transports.items() if kind.account]
        option = f"{sections[0]}.concurrency" if sections else "concurrency"
        message = f"needs two requests at once: raise {option} if the account allows them"
        validator.issue(("hedging",), message)
    _phrases(validator, core, speech)
    if core.routes is not DEFAULT_ROUTES:
        _routes(validator, core.routes, plugins)


def _names(validator: Validator, core: CoreOptions) -> None:
    if core.node == "all":
        validator.issue(("node",), "'all' is reserved: it addresses every speaker")
    for name, speaker in core.speakers.items():
        if not re.fullmatch("[a-z0-9_-]{1,64}", name):
            validator.issue(("speakers", name), "a speaker's name is 1 to 64 of a-z 0-9 _ -")
        if name == "all":
            validator.issue(("speakers", name), "'all' is reserved: it addresses every speaker")
        for index, group in enumerate(speaker.groups):
            path = ("speakers", name, "groups", index)
            if group == "all":
                validator.issue(path, "every speaker answers to 'all' already")
            elif group in core.speakers:
                validator.issue(path, f"{group!r} is the name of a speaker; a group needs one of its own")


def _times(validator: Validator, core: CoreOptions) -> None:
    """Check the time zone and every window of quiet hours."""
    if core.timezone is not None:
        try:
            ZoneInfo(core.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            close = closest(core.timezone, available_timezones()).split("; ")[0][:200]
            validator.issue(("timezone",), f"no time zone is called {core.timezone!r}; {close}")
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
                validator.issue((*path, key), str(error))


def _chimes(validator: Validator, core: CoreOptions) -> None:
    """Check the folder of chimes, and that each chime used exists."""
    folder = core.chimes_dir
    if folder is not None and not folder.is_dir():
        validator.issue(("chimes_dir",), f"there is no folder {folder}")
        folder = None
    chimes = Chimes(folder)
    for name, problem in chimes.problems():
        validator.issue(("chimes_dir",), f"{name}.wav cannot be used: {problem}")
    given = core.chime if isinstance(core.chime, dict) else {}
    named: dict[tuple[str, ...], str] = {("chime", str(urgency)): name for urgency, name in given.items()}
    if isinstance(core.chime, str):
        named = {("chime",): core.chime}
    for path, name in named.items():
        if name != NO_CHIME and name not in chimes.names:
            validator.issue(path, f"no chime is called {name!r}; {closest(name, [*chimes.names, NO_CHIME])}")


def _phrases(validator: Validator, core: CoreOptions, speech: SpeechOptions) -> None:
    """Check that each phrase can be spoken, and that all of them fit into the cache."""
    texts = [phrase if isinstance(phrase, str) else phrase.text for phrase in core.phrases]
    if texts and not core.cache.enabled:
        validator.issue(("phrases",), "need the cache: set `cache.enabled: true`")
    for index, text in enumerate(texts):
        path = ("phrases", index) if isinstance(core.phrases[index], str) else ("phrases", index, "text")
        try:
            check_text(text)
        except InvalidAnnouncement as refusal:
            validator.issue(path, f"{refusal.reason}; allowed: {refusal.allowed}")
    _room(validator, core, speech, texts)


def _room(validator: Validator, core: CoreOptions, speech: SpeechOptions, texts: Sequence[str]) -> None:
    """Warn of phrases that probably do not fit into the cache."""
    room = core.cache.max_mb * 1_000_000
    sizes = [len(text) / CHARS_PER_SECOND * speech.sample_rate * 2 for text in texts]
    for index, size in enumerate(sizes):
        if size > max_clip_bytes(room):
            most = f"{max_clip_bytes(room) / 1e6:.1f} MB"
            validator.warnings.append(
                f"{printable(('phrases', index))}: probably too long for the cache (over {most})"
            )
    if sum(sizes) > room:
        needed = f"about {sum(sizes) / 1e6:.0f} MB"
        validator.warnings.append(f"phrases: {needed} are needed to keep them all, more than cache.max_mb")


def _routes(validator: Validator, routes: tuple[Route, ...], plugins: Plugins) -> None:
    if not routes or routes[-1].when is not None:
        validator.issue(
            ("routes",), "the last route must have no `when`, so that one matches every announcement"
        )
    for index, route in enumerate(routes):
        if route.when is None and index < len(routes) - 1:
            validator.issue(
                ("routes", index), "a route without `when` matches everything, so those after it never apply"
            )
        _use(validator, route.use, ("routes", index, "use"), plugins.transports)


def _use(
    validator: Validator,
    use: tuple[str, ...] | str,
    path: tuple[str | int, ...],
    transports: Mapping[str, object],
) -> None:
    if use == AUTO:
        return
    if isinstance(use, str):
        validator.issue(path, f"must be {AUTO}, or a list of transports, such as [{use}]")
        return
    if AUTO in use:
        validator.issue(path, f"{AUTO} stands alone, as use: {AUTO}; it includes every transport")
        return
    if not use:
        validator.issue(path, "must name at least one transport")
    if len(set(use)) < len(use):
        validator.issue(path, "names a transport twice; each is tried only once")
    for index, name in enumerate(use):
        if name not in transports and name != FALLBACK_ALIAS:
            validator.issue((*path, index), f"no transport is called {name!r}; {closest(name, transports)}")
