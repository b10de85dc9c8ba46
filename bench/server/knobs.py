"""How the simulated server behaves, and what a text asks of it in particular."""

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
    #: Requests at once, above which one is answered with 429; 0: as many as come.
    concurrency: int = 0
    characters_per_second: float = 15.0
    #: A WebSocket without a message for so long is closed.
    idle_s: float = 60.0


class Order(msgspec.Struct, frozen=True):
    """The behaviour that a text asks for."""

    #: Given in the text, to tell the messages of a run apart; -1: not given.
    number: int
    seconds: float
    frequency: int
    seed: int
    rate: int
    wav: bool


def order(body: Mapping[str, object], knobs: Knobs) -> Order:
    """Read a request. Tags are words, so that whatever cuts sentences leaves them alone.

    `ms400x hz800x seed7x no12x Hello.` is the message number 12: 400 ms of 800 Hz, seed 7 for all that is random.
    Without `ms` the speech is as long as the text.
    """
    text = str(body.get("text") or "")
    tags = {name: int(value) for name, value in TAG.findall(text)}
    seconds = tags["ms"] / 1000 if "ms" in tags else len(text) / knobs.characters_per_second
    return Order(
        number=tags.get("no", -1),
        seconds=max(SHORTEST_S, seconds),
        frequency=tags.get("hz", 400),
        seed=tags.get("seed", 1),
        rate=int(str(body.get("sample_rate") or DEFAULT_RATE)),
        wav=body.get("output_format", "wav") == "wav",
    )


def tagged(number: int, ms: int, *, hz: int = 400, seed: int = 1, text: str = "Hello there.") -> str:
    """Return a text that asks for this behaviour."""
    return f"ms{ms}x hz{hz}x seed{seed}x no{number}x {text}"


WORDS = "the washing machine in the cellar is ready and the laundry can be taken out before it rains again tonight "


def spoken(number: int, characters: int) -> str:
    """Return a sentence of this many characters; its synthesis takes as long as its speech: 1/15 s a character."""
    tag = f"no{number}x "
    return f"{tag}{(WORDS * 2)[: characters - len(tag) - 1].rstrip()}".ljust(characters - 1, "s") + "."
