"""The options of the core: types, ranges and defaults. Plugins declare those of their own sections."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from edgevoice.announcement import Urgency

Name = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}\Z", description="1 to 64 of a-z 0-9 _ -")]
Volume = Annotated[int, Meta(ge=0, le=100)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Seconds = Annotated[float, Meta(gt=0, le=86400)]
MINUTES_PER_DAY = 24 * 60


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The condition of a route: all given keys must match."""

    live: bool | None = None
    urgency: tuple[Urgency, ...] | Urgency | None = None
    longer_than: Annotated[int, Meta(ge=0)] | None = None
    up_to: Annotated[int, Meta(ge=1)] | None = None


#: In place of a list of transports: order them by the time to first sound measured lately.
AUTO = "auto"
#: In a route: every transport whose role is `Role.FALLBACK`.
FALLBACK_ALIAS = "local"


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route: the transports to try, in order, if its condition matches; or `auto`."""

    when: When | None = None
    use: tuple[str, ...] | str


#: The default routes. The vendor advises 140 characters as the best length of one request.
DEFAULT_ROUTES = (
    Route(when=When(live=True), use=("websocket", "http_stream", FALLBACK_ALIAS)),
    Route(
        when=When(urgency=(Urgency.CRITICAL, Urgency.HIGH)),
        use=("websocket", "http_stream", "http", FALLBACK_ALIAS),
    ),
    Route(when=When(up_to=140), use=("http", "http_stream", "websocket", FALLBACK_ALIAS)),
    Route(use=("http_stream", "websocket", "http", FALLBACK_ALIAS)),
)


class ByUrgency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Seconds for each urgency."""

    low: Seconds = 6.0
    normal: Seconds = 6.0
    high: Seconds = 3.0

    def of(self, urgency: Urgency) -> float:
        return float(getattr(self, urgency.value))


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A window of quiet hours; `days` are those on which it begins."""

    days: tuple[Day, ...] = DAYS
    start: str | int = field(name="from")
    end: str | int = field(name="to")


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


class PerMinute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rate limit: `per_minute` on average, `burst` at once."""

    per_minute: Annotated[float, Meta(gt=0, le=6000)]
    burst: Annotated[int, Meta(ge=1, le=6000)]


class RepeatGrowth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a repeating alert escalates: each gap is `gap` times the one before, each round `volume` per cent louder."""

    gap: Annotated[float, Meta(ge=0.1, le=1)] = 1.0
    volume: Annotated[int, Meta(ge=0, le=100)] = 0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `limits` section."""

    queue: Annotated[int, Meta(ge=1, le=100_000)] = 500
    per_topic: PerMinute | Literal[False] = PerMinute(per_minute=6, burst=6)
    total: PerMinute | Literal[False] = PerMinute(per_minute=20, burst=20)
    critical: PerMinute | Literal[False] = PerMinute(per_minute=10, burst=10)


DEFAULT_OUTPUT = "sound_card"


class SpeakerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A speaker of `speakers`, without the options of its output."""

    #: Name of the output.
    output: str = DEFAULT_OUTPUT
    groups: tuple[Name, ...] = ()
    volume: Volume = 100
    volumes: dict[Urgency, Volume] = field(default_factory=dict)
    quiet_volume: Volume = 30
    critical_volume: Volume = 70
    quiet_hours: tuple[QuietHours, ...] | None = None


#: Bytes of one cached clip at most: a minute and a half at 24 kHz; long texts hardly ever recur.
MAX_CLIP_BYTES = 4 * 1024 * 1024
#: A clip takes at most this fraction of the cache (1/2), so that it cannot evict all others.
CLIP_SHARE = 2


class CacheOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `cache` section: how much is kept, and for how many days without use."""

    enabled: bool = True
    max_mb: Annotated[int, Meta(ge=1, le=100_000)] = 200
    max_days: Annotated[int, Meta(ge=1, le=3650)] = 30


class HistoryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `history` section. `texts`: the history keeps what was announced, unless it is private."""

    texts: bool = True


class Phrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text to pre-render, and how it is spoken if not by the defaults."""

    text: str
    voice: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    language: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    speed: Annotated[float, Meta(ge=0.5, le=2)] | None = None


def max_clip_bytes(cache_bytes: int) -> int:
    """Return the size in bytes that one clip may have in a cache of `cache_bytes`."""
    return min(MAX_CLIP_BYTES, cache_bytes // CLIP_SHARE)


def default_node() -> str:
    """Return the host name with characters that a node's name may have."""
    name = re.sub(r"[^a-z0-9_-]", "-", platform.node().split(".")[0].lower()).strip("-")[:64]
    return name if name and name != "all" else "edgevoice"


class CoreOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration without the sections of plugins."""

    node: Name = field(default_factory=default_node)
    state_dir: str | None = None
    plugins_dir: str | None = None
    timezone: str | None = None
    routes: tuple[Route, ...] = DEFAULT_ROUTES
    #: The chime of all, or of each urgency that has another than the default.
    chime: str | dict[Urgency, str] = field(default_factory=dict)
    chimes_dir: Path | None = None
    say_age: Seconds | Literal[False] = False
    insist: RepeatGrowth = field(default_factory=RepeatGrowth)
    critical_deadline: Seconds = 1.5
    first_audio_timeout: Seconds | ByUrgency = field(default_factory=ByUrgency)
    digest: Literal["on_request", "at_end", "off", False] = "on_request"
    digest_keep: Seconds = 43_200.0
    phrases: tuple[
        Annotated[
            str | Phrase,
            Meta(description="has to be a text, or {text: ..., voice: ..., language: ..., speed: ...}"),
        ],
        ...,
    ] = ()
    hedging: bool | Literal["auto"] = "auto"
    #: Seconds by which another transport of a route must be faster to go first; off: the route's order holds.
    route_guard: Seconds | Literal[False] = 0.05
    speakers: dict[Name, SpeakerOptions] = field(default_factory=dict)
    quiet_hours: tuple[QuietHours, ...] = ()
    limits: Limits = field(default_factory=Limits)
    cache: CacheOptions = field(default_factory=CacheOptions)
    history: HistoryOptions = field(default_factory=HistoryOptions)

    @property
    def route_guard_s(self) -> float | None:
        """The seconds of `route_guard`; None if it is off."""
        return self.route_guard or None

    def hedging_enabled(self, concurrency: int) -> bool:
        """Return whether a second request may run beside a late one, if the account allows `concurrency`."""
        return self.hedging is not False and concurrency > 1

    def first_audio_within(self, urgency: Urgency) -> float:
        """Return the seconds after which the first audio of an announcement is late."""
        if urgency is Urgency.CRITICAL:
            return self.critical_deadline
        if isinstance(self.first_audio_timeout, ByUrgency):
            return self.first_audio_timeout.of(urgency)
        return self.first_audio_timeout
