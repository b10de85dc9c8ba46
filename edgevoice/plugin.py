"""The plugin API: sources, transports, outputs and observers, the context each is given, and the hooks.

Each class has one method that matters: `Source.listen`, `Transport.synthesize`, `Output.play`,
`Observer.on_event`. All have the same constructor, `(context, options)`, which starts nothing, and are used
as `async with`. A plugin implements a hook with `hookimpl`; a hook must not wait, and each call is guarded.
`plugins/README.md` draws the order of the calls.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, Self

import msgspec
import pluggy
from msgspec import Meta

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    import aiohttp

    from edgevoice.announcement import Announcement, Urgency
    from edgevoice.commands import Submit
    from edgevoice.outcome import Event, Rejection, SpeakerState

#: Version of the plugin API, as `major.minor`. See "Versions" in plugins/README.md.
API_VERSION = "1.0"


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a plugin that has none."""


class SpeechOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options that the core reads from the section of a speech service.

    The options of a transport that has an `account` derive from this. The first such section gives the
    defaults of the whole node, `Context.speech`.
    """

    #: Name of a voice, as the service spells it; None for the service's own default.
    voice: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    #: Language code, such as `en`; also the language of the node's own sentences.
    language: Annotated[str, Meta(min_length=1, max_length=16)] = "en"
    speed: Annotated[float, Meta(ge=0.5, le=2)] = 1.0
    #: Rate in Hz of all synthesized speech of the node.
    sample_rate: Annotated[int, Meta(ge=8000, le=192_000)] = 24000
    #: Requests that the account allows at once.
    concurrency: Annotated[int, Meta(ge=1, le=100)] = 1
    #: Characters of one request at most; longer texts are cut at sentence ends.
    max_request_chars: Annotated[int, Meta(ge=20, le=8000)] = 250


class Clock(Protocol):
    """The time. Intervals are monotonic; wall-clock times are aware."""

    def monotonic(self) -> float:
        """Return monotonic seconds, comparable with the event loop's `time()`."""

    def now(self) -> datetime:
        """Return the wall-clock time in the node's time zone."""


class SystemClock:
    """The machine's clock, in a time zone or, by default, the machine's."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(self._zone).astimezone(self._zone)


def _no_http_session() -> aiohttp.ClientSession:
    raise RuntimeError("this context has no HTTP session")


def _new_event() -> asyncio.Event:
    import asyncio  # noqa: PLC0415 - a plugin's child process imports this module, too

    return asyncio.Event()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The services that the core gives every plugin. It holds no secret and no vendor's options."""

    #: Name of this node.
    node: str
    #: A folder that exists and can be written. Call your own files there after your plugin.
    state_dir: Path
    #: Names of the node's speakers.
    speakers: tuple[str, ...] = ()
    #: Names a source may address: speakers, groups and `all`.
    targets: frozenset[str] = frozenset({"all"})
    #: Groups of each speaker, by the speaker's name.
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The speaker an output belongs to; None for other plugins.
    speaker: str | None = None
    #: Defaults of all speech of this node: voice, language, speed, sample rate.
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    clock: Clock = field(default_factory=SystemClock)
    #: Returns the one HTTP session that all plugins share; it is opened at the first call. Do not close it.
    http_session: Callable[[], aiohttp.ClientSession] = _no_http_session
    #: `fault(part, sentence)` raises the fault of a part; `fault(part, None)` clears it.
    fault: Callable[[str, str | None], None] = lambda _part, _sentence: None
    #: Returns a sentence for each component that makes no progress and cannot help itself.
    stalled: Callable[[], list[str]] = list
    #: Set once every output was probed and the speakers run.
    ready: asyncio.Event = field(default_factory=_new_event)
    #: `delivered(name, event)`: the durable observer registered as `name` has delivered an outcome.
    delivered: Callable[[str, Event], None] = lambda _name, _event: None


class Plugin:
    """The base of all plugins: options, checks, and a life as `async with`."""

    #: The keys of the plugin's section of the configuration, as a msgspec struct with a default for each.
    #: A field of the type `pathlib.Path` is given as an absolute path: a relative one in the
    #: configuration is relative to the configuration file, and `~` is expanded.
    options: ClassVar[type[msgspec.Struct]] = NoOptions

    def __init__(self, context: Context, options: Any) -> None:
        """Keep what is needed; start nothing.

        Args:
            context: The node, and what it lends to plugins.
            options: An instance of `self.options` with the values of the configuration.
        """
        self.context = context
        self.config = options

    @classmethod
    def missing_dependency(cls) -> str | None:
        """Return what must be installed first, as `needs X: pip install Y`; None if nothing is missing."""
        return None

    @classmethod
    def validate_options(cls, options: Any) -> list[tuple[str, str]]:
        """Return the issues that types and ranges cannot express, as pairs of key and sentence."""
        del options
        return []

    @classmethod
    def option_warnings(cls, options: Any) -> list[tuple[str, str]]:
        """Return warnings about options that are allowed but unwise, as pairs of key and sentence."""
        del options
        return []

    def stall_reason(self) -> str | None:
        """Return a sentence if the plugin stopped making progress and cannot recover, else None."""
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Source(Plugin, ABC):
    """A plugin that announcements come from."""

    @abstractmethod
    async def listen(self, submit: Submit) -> None:
        """Submit each command as it arrives, until cancelled.

        `submit` never blocks and never raises. A `listen` that returns or raises is started again after a
        growing delay.
        """


class WordMark(NamedTuple):
    """When a word is spoken."""

    #: The word, unchanged from the text.
    word: str
    #: Seconds from the start of the request's audio.
    start: float
    #: Seconds from the start of the request's audio.
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """A request to a transport: a whole text, or the chunks of a live text."""

    #: Id of the announcement.
    id: str
    #: At most `Context.speech.max_request_chars` characters; None for live text.
    text: str | None = None
    #: The chunks of a live text; None unless the transport declares `accepts_text_stream`.
    text_stream: AsyncIterator[str] | None = None
    #: Rate in Hz that the audio must have.
    sample_rate: int
    urgency: Urgency
    #: The voice that the announcement asks for; None for the transport's default.
    voice: str | None = None
    language: str = "en"
    speed: float = 1.0
    #: A transport that learns when each word is spoken appends it here, in order. If the speech breaks
    #: off, the next transport continues at the first word that was not spoken to its end.
    marks: list[WordMark] = field(default_factory=list, compare=False, repr=False)


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


class Role(Enum):
    """The use of a transport by the core."""

    #: Tried in the order of the routes.
    PRIMARY = "primary"
    #: The voice of last resort, called `local` in routes: it speaks private texts, stands by for critical
    #: announcements, and replaces accounts that are refused. It must need no network.
    FALLBACK = "fallback"


class Transport(Plugin, ABC):
    """A plugin that turns text into streamed audio."""

    #: Section of the configuration that holds its options; None for its own name. Transports of one
    #: service share a section by naming the same one and the same `options`.
    section: ClassVar[str | None] = None
    role: ClassVar[Role] = Role.PRIMARY
    #: Account its requests count against. Transports with the same account share one concurrency limit
    #: (`SpeechOptions.concurrency`), and `AccountRefused` by one of them rules out all of them and raises
    #: the account's fault. None: no limit.
    account: ClassVar[str | None] = None
    #: Whether it takes `SpeechRequest.text_stream`. Otherwise live text comes a sentence at a time.
    accepts_text_stream: ClassVar[bool] = False

    @classmethod
    def unavailable_reason(cls, options: Any) -> str | None:
        """Return why it cannot be used with these options, such as `there is no API key`; None if it can.

        Unlike an issue of `validate_options` this is not an error: the transport is left out.
        """
        del options
        return None

    @classmethod
    def voice_identity(cls, options: Any, request: SpeechRequest) -> str | None:
        """Return what the audio depends on apart from text and sample rate; None if it must not be cached.

        Two requests with equal identity, text and rate sound alike, whichever transport makes them. Include
        the service, the model, the voice, the language and the speed. `request.text` is not set.
        """
        del options, request
        return None

    @property
    def is_warm(self) -> bool:
        """Whether a request made now needs no connection to be opened first."""
        return True

    @abstractmethod
    def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        """Yield the speech as it arrives: s16le mono at `request.sample_rate`.

        Each chunk holds whole samples and is not empty. Closing the iterator early cancels the request at
        once. Must not retry; the core fails over to the next transport.

        Raises:
            AccountRefused: The account, key or model is refused (401, 402, 403, 410).
            TooManyRequests: The account allows no further request at the moment (429).
            TransportError: Anything else that ends the speech before its end.
        """


class Progress(Protocol):
    """Counts frames while an output plays, at the rate given to `play`, from 0; numbers never fall."""

    def written(self, frames: int) -> None:
        """Report the frames handed to the device so far, in all."""

    def played(self, frames: int) -> None:
        """Report the frames heard so far, in all."""


class Output(Plugin, ABC):
    """A plugin that audio goes to: the output of one speaker, `self.speaker`."""

    def __init__(self, context: Context, options: Any) -> None:
        super().__init__(context, options)
        #: Name of the speaker this output belongs to.
        self.speaker = context.speaker or ""

    @classmethod
    def exclusive_resource(cls, options: Any) -> str | None:
        """Return the resource only one speaker may use, such as the path of a file; None if there is none."""
        del options
        return None

    async def probe(self) -> None:
        """Try the output without a sound.

        Raises:
            OutputError: It does not work. Say what is wrong, which devices there are, and what to do.
        """

    @abstractmethod
    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        """Play s16le mono at `rate` Hz until `audio` ends and its last sample was heard.

        It may report all frames as heard and return up to 30 ms early, so that the next announcement
        follows without a gap. A pause between chunks of `audio` is silence. When cancelled, stop the sound
        at once, after `progress` was told how much was heard.

        Raises:
            OutputError: The device was lost and could not be recovered; `progress` says how far it came.
        """


class Observer(Plugin):
    """A plugin that is told what happens. Its methods must not wait. A source may be an observer too."""

    #: Whether each outcome of a high or critical announcement is stored until `context.delivered` is called
    #: with it. Undelivered ones are told again at the next start, marked `repeated`; at most 200 are kept.
    durable: bool = False

    async def run(self) -> None:
        """Do what takes time, until cancelled. Returning is fine for an observer that needs nothing."""

    def on_event(self, event: Event, origin: object) -> None:
        """Handle one step of an announcement; `origin` is what its source passed with the command."""

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        """Handle a change of a speaker's state."""

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        """Handle an input that was not accepted."""


hookspec = pluggy.HookspecMarker("edgevoice")
hookimpl = pluggy.HookimplMarker("edgevoice")


class Registry(Protocol):
    """The argument of `edgevoice_register`. The configuration calls the plugin by the registered name."""

    def source(self, name: str, plugin: type[Source]) -> None: ...

    def transport(self, name: str, plugin: type[Transport]) -> None: ...

    def output(self, name: str, plugin: type[Output]) -> None: ...

    def observer(self, name: str, plugin: type[Observer]) -> None: ...


@hookspec
def edgevoice_register(register: Registry) -> None:
    """Register the plugin's sources, transports, outputs and observers. Called once, when it is loaded."""


@hookspec
def edgevoice_filter_text(text: str, language: str) -> str | None:
    """Return the text to speak instead of `text`; None to leave it as it is.

    Called on the event loop for each whole text, private ones included, before it is cut into requests and
    looked up in the cache; not for live text. The same text must always give the same result. The hooks of
    several plugins are called in the order of the plugins' names, each with the result of the last. One that
    raises, or returns anything else than a text that can be spoken, is skipped, and the error is logged.
    """
