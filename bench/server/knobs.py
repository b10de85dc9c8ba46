"""The settings of the simulated server, and the tags in a text that set the speech of one request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG = re.compile(r"\b(ms|hz|seed|no)(\d+)x\b")
SHORTEST_S = 0.2
DEFAULT_RATE = 24000


class Knobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that can change while the server runs; times in milliseconds."""

    #: Until the first chunk exists.
    setup_ms: float = 100.0
    #: Seconds of speech made in a second.
    speed: float = 5.0
    chunk_ms: float = 80.0
    #: The mean of an exponential delay of each chunk, which does not add up.
    jitter_ms: float = 0.0
    #: The share of chunks, never the first, before which the server stalls.
    stall_share: float = 0.0
    stall_ms: float = 400.0
    refuse_share: float = 0.0
    refuse_status: int = 500
    #: The connection is reset before this chunk.
    cut_at: int = -1
    #: Requests at the same time; one more gets 429. 0: no limit.
    concurrency: int = 0
    characters_per_second: float = 15.0
    #: A WebSocket without a message for so long is closed.
    idle_s: float = 60.0


class SpeechSpec(msgspec.Struct, frozen=True):
    """The speech that the tags of a text ask for."""

    #: Given in the text, to tell the messages of a run apart; -1: not given.
    number: int
    seconds: float
    frequency: int
    seed: int
    rate: int
    wav: bool


def parse_spec(body: Mapping[str, object], knobs: Knobs) -> SpeechSpec:
    """Return the speech for the body of a request. Tags are words, so that no sentence splitter cuts them.

    `ms400x hz800x seed7x no12x Hello.` is the message number 12: 400 ms of 800 Hz, seed 7 for all that is random.
    Without `ms` the speech is as long as the text.
    """
    text = str(body.get("text") or "")
    tags = {name: int(value) for name, value in TAG.findall(text)}
    seconds = tags["ms"] / 1000 if "ms" in tags else len(text) / knobs.characters_per_second
    return SpeechSpec(
        number=tags.get("no", -1),
        seconds=max(SHORTEST_S, seconds),
        frequency=tags.get("hz", 400),
        seed=tags.get("seed", 1),
        rate=int(str(body.get("sample_rate") or DEFAULT_RATE)),
        wav=body.get("output_format", "wav") == "wav",
    )


def tagged_text(number: int, ms: int, *, hz: int = 400, seed: int = 1, text: str = "Hello there.") -> str:
    """Return a text with tags for this speech."""
    return f"ms{ms}x hz{hz}x seed{seed}x no{number}x {text}"


WORDS = "the washing machine in the cellar is ready and the laundry can be taken out before it rains again tonight "


def sentence(number: int, characters: int) -> str:
    """Return a sentence of this many characters; its synthesis takes as long as its speech: 1/15 s a character."""
    tag = f"no{number}x "
    return f"{tag}{(WORDS * 2)[: characters - len(tag) - 1].rstrip()}".ljust(characters - 1, "s") + "."
