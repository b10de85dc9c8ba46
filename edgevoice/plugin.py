"""What a plugin is: a source, a transport, an output or an observer, and what it is given.

Each class has one method that matters: `Source.listen`, `Transport.synthesize`, `Output.play`,
`Observer.on_event`. Each is used as `async with`; its constructor starts nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self

import msgspec

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from types import TracebackType

    import aiohttp

    from edgevoice.announcement import Urgency
    from edgevoice.commands import Submit
    from edgevoice.config.options import Lightning
    from edgevoice.outcome import Event, Rejection, SpeakerState


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a plugin that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every plugin is given.

    `session` opens the one HTTP session that all share. `fault` raises a fault by the name of the part
    it concerns (a sentence), or clears it (None). `stuck` names the parts that no longer make progress.
    `targets` are the speakers, groups and `all` of this node. `ready` is set once every speaker was tried. `api_key` is None where there is none, and then
    `lightning.base_url` is the local voice's own server.
    """

    node: str
    state_dir: Path
    speakers: tuple[str, ...]
    targets: frozenset[str]
    lightning: Lightning
    api_key: str | None
    session: Callable[[], aiohttp.ClientSession]
    fault: Callable[[str, str | None], None]
    stalled: Callable[[], list[str]]
    ready: asyncio.Event
    #: Tells that an observer, by the name it was registered under, has delivered an outcome (`Observer.durable`).
    delivered: Callable[[str, Event], None] = lambda _name, _event: None


class Plugin:
    """The common ground: options, what is missing to be used here, and a life as `async with`."""

    options: ClassVar[type[msgspec.Struct]] = NoOptions
    """The keys of this plugin's section of the configuration, and their types."""

    @classmethod
    def missing_dependency(cls) -> str | None:
        """What has to be installed before this can be used, as `needs X: pip install Y`; None if nothing."""
        return None

    @classmethod
    def validate_options(cls, options: Any) -> list[tuple[str, str]]:
        """What is wrong with options whose every value is of its type: the key, and what to do about it."""
        del options
        return []

    def stall_reason(self) -> str | None:
        """A sentence if this part has stopped making progress and cannot help itself, else None."""
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Source(Plugin, ABC):
    """Something announcements come from."""

    def __init__(self, context: Context, options: Any) -> None:
        """`options` are those of its section of the configuration, as the struct `self.options`."""
        self.context = context
        self.config = options

    @abstractmethod
    async def listen(self, submit: Submit) -> None:
        """Hand over each command as it arrives, for ever; `submit` never blocks and never raises."""


class WordMark(NamedTuple):
    """A word, as it stands in the text, and its seconds from the start of the request's audio."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """One request to a transport: a text of at most `max_request_chars`, or pieces that are still arriving.

    `sample_rate` in Hz is the rate the answer must have. `voice`, `language` and `speed` are None where
    the announcement leaves them to the configuration. A transport that learns when each word of a text is
    spoken appends it to `marks`, in order: where the speech breaks off, that tells what is left to say.
    """

    id: str
    text: str | None = None
    text_stream: AsyncIterator[str] | None = None
    sample_rate: int
    urgency: Urgency
    voice: str | None = None
    language: str | None = None
    speed: float | None = None
    marks: list[WordMark] = field(default_factory=list, compare=False, repr=False)


class Transport(Plugin, ABC):
    """Something that turns text into streamed audio."""

    metered: ClassVar[bool] = True
    """Whether a request takes one of the account's `concurrency` places, and its voice is the account's."""
    accepts_text_stream: ClassVar[bool] = False
    """Whether `request.pieces` is understood; else live text comes a sentence at a time."""

    def __init__(self, context: Context, options: Any) -> None:
        self.context = context
        self.config = options

    @property
    def is_warm(self) -> bool:
        """Whether a request made now has no connection to open first."""
        return True

    @abstractmethod
    def synthesize(self, request: SpeechRequest) -> AsyncIterator[bytes]:
        """Yield the speech: s16le mono at `request.sample_rate`, whole samples, never empty, as it arrives.

        Closing the iterator early cancels the request at once. Never retries: fallback is the retry.

        Raises:
            AccountRefused: for 401, 402, 403, 410; the message names the successor of a retired model.
            TransportError: for anything else that ends the speech before its end.
        """


class Progress(Protocol):
    """Told by an output while it plays; frames are counted at the rate given to `play`, from 0."""

    def written(self, frames: int) -> None:
        """So many frames have been handed to the device in all."""

    def played(self, frames: int) -> None:
        """So many frames have been heard in all."""


class Output(Plugin, ABC):
    """Something audio goes to: the output of one speaker."""

    def __init__(self, context: Context, options: Any, speaker: str) -> None:
        """`options` are those keys of `speakers.<speaker>` that `self.options` declares."""
        self.context = context
        self.config = options
        self.speaker = speaker

    @classmethod
    def exclusive_resource(cls, options: Any) -> str | None:
        """What only one speaker may use, such as a file; None where several may share all."""
        del options
        return None

    async def probe(self) -> None:
        """Try it without a sound.

        Raises:
            OutputError: saying what is wrong, which devices there are, and what to do.
        """

    @abstractmethod
    async def play(self, audio: AsyncIterator[bytes], rate: int, progress: Progress) -> None:
        """Play s16le mono at `rate` Hz until `audio` ends and its last sample was heard, or is just about to be.

        An output may return, all told as heard, up to 30 ms early, so that the next one follows without a
        gap; what is left is heard all the same. A gap in `audio` is silence. When cancelled, the sound stops at once and `progress` has been told
        how much was heard.

        Raises:
            OutputError: the device is lost and could not be had back; `progress` says how far it came.
        """


class Observer(Plugin):
    """Something that is told what happens. Never waits, never decides; a source may be one too."""

    #: Whether each outcome of a high or critical announcement is kept on the disk until `context.delivered`
    #: is called with it. What a crash or an end of the daemon left undelivered is told again at the next
    #: start, marked as `repeated`; of more than 200 the oldest are dropped.
    durable: bool = False

    def __init__(self, context: Context, options: Any) -> None:
        self.context = context
        self.config = options

    async def run(self) -> None:
        """What it does besides, for ever; nothing by default."""

    def on_event(self, event: Event, origin: object) -> None:
        """A step of an announcement, and the origin its source gave it."""

    def on_state(self, speaker: str, state: SpeakerState) -> None:
        """A speaker's state changed."""

    def on_rejected(self, rejection: Rejection, origin: object) -> None:
        """Something was not accepted."""


class Server(Plugin, ABC):
    """A Lightning-compatible server of this machine's own, for where there is no key. Made as `Server()`."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Its root, such as `http://127.0.0.1:8080`, once it was entered."""
