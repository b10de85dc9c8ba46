"""Known speech: for a text and a rate always the same samples, so that one missing or added is found.

The speech of a text is that of its sentences, joined. A sentence lasts as long as the tags in it say
("d1500z" is 1.5 s), otherwise a fifteenth of a second for each character. No sample is zero. Each tag
such as "k7z" is a burst of the tone number 7, 1.5 s long, and 0.3 s of silence.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import numpy as np

TAG = re.compile(r"\bd(\d+)z\b")
BURST = re.compile(r"\bk(\d+)z\b")
BURST_S, PAUSE_S = 1.5, 0.3
_SENTENCE = re.compile(r"(?<=[.?!…])\s+")


def sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text.strip()) if part.strip()]


def frames_of(text: str, rate: int) -> int:
    return sum(_frames(sentence, rate) for sentence in sentences(text))


def samples(text: str, rate: int, start: int = 0, count: int | None = None) -> bytes:
    """The s16le samples of a text from frame `start` on, at most `count` of them."""
    parts, stop = [], frames_of(text, rate) if count is None else start + count
    for sentence in sentences(text):
        length = _frames(sentence, rate)
        parts.append(_of_sentence(sentence, rate, max(0, start), min(stop, length)))
        start, stop = start - length, stop - length
        if stop <= 0:
            break
    return b"".join(parts)


def words_of(text: str) -> list[tuple[str, float, float]]:
    """Each word of a text of numbered bursts, and its seconds from the start."""
    length = BURST_S + PAUSE_S
    return [(word, at * length, at * length + BURST_S) for at, word in enumerate(text.split())]


def tone_of(number: int) -> int:
    """The Hz of a numbered burst; 10 ms of it are whole waves."""
    return 100 * (3 + 2 * number)


def _frames(sentence: str, rate: int) -> int:
    if bursts := BURST.findall(sentence):
        return len(bursts) * round((BURST_S + PAUSE_S) * rate)
    tags = [int(ms) for ms in TAG.findall(sentence)]
    return (sum(tags) * rate // 1000) if tags else max(1, len(sentence) * rate // 15)


def _of_sentence(sentence: str, rate: int, start: int, stop: int) -> bytes:
    if bursts := BURST.findall(sentence):
        whole = b"".join(_burst(int(number), rate) for number in bursts)
        return whole[start * 2 : max(start, stop) * 2]
    blocks, position = [], start
    while position < stop:
        number, offset = divmod(position, rate)
        piece = _block(" ".join(sentence.split()), rate, number)[offset : offset + stop - position]
        blocks.append(piece.tobytes())
        position += len(piece)
    return b"".join(blocks)


@lru_cache(maxsize=64)
def _block(sentence: str, rate: int, number: int) -> np.ndarray:
    """Return a second of noise."""
    digest = hashlib.sha256(f"{sentence}|{rate}|{number}".encode()).digest()
    noise = np.random.default_rng(int.from_bytes(digest[:8], "little")).integers(-8000, 8000, rate)
    return (noise | 1).astype("<i2")


@lru_cache(maxsize=64)
def _burst(number: int, rate: int) -> bytes:
    count = round(BURST_S * rate)
    tone = np.rint(8000 * np.sin(2 * np.pi * tone_of(number) * np.arange(count) / rate))
    return tone.astype("<i2").tobytes() + bytes(2 * round(PAUSE_S * rate))
