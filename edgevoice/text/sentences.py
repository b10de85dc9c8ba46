"""Sentence splitting: texts are cut into requests at sentence ends, else at clauses, else at spaces."""

from __future__ import annotations

import re

_SHORT = "mr mrs ms dr prof st sr jr vs no nr approx dept fig inc ltd etc e.g i.e a.m p.m z.b bzw ca usw"
_ABBREVIATIONS = frozenset(_SHORT.split())
_END = re.compile(r"(?:[.?!…]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』”’）]*|\n+)")
_CLAUSE = re.compile(r"[,;:–—،、]+(?=\s)|[，；：]")


def sentence_ends(text: str, *, complete: bool = True) -> list[int]:
    """Return the offsets after each sentence end. A full stop at the end of an incomplete text does not count."""
    ends = []
    for match in _END.finditer(text):
        if not complete and match.end() == len(text) and text[match.start()] == ".":
            continue  # "3." may continue as "3.5", "Mr." as "Mr. Smith"
        if text[match.start()] == "." and _is_abbreviation(text, match.start()):
            continue
        ends.append(match.end())
    return ends


def split(text: str, most: int) -> list[str]:
    """Split a text into parts of at most `most` characters, each as long as possible. Joined they are the text."""
    parts = []
    while len(text) > most:
        end = _cut(text, most)
        parts.append(text[:end])
        text = text[end:]
    if text:
        parts.append(text)
    return _blank_joined(parts)


def first_sentence(text: str, most: int, *, ended: bool) -> int:
    """Return the offset after the first sentence, at most `most`; 0 if the sentence is not complete yet."""
    lead = len(text) - len(text.lstrip())
    for end in sentence_ends(text[: most + 1], complete=ended):
        if end > lead and end <= most:
            return end
    if len(text) > most:
        return _cut(text, most)
    return len(text) if ended and text.strip() else 0


def _cut(text: str, most: int) -> int:
    """Return the best offset in 1..most to cut a longer text. White space after it stays in the first part."""
    window = text[:most]
    ends = [end for end in sentence_ends(text[: most + 1]) if end <= most]
    clauses = [match.end() for match in _CLAUSE.finditer(text[: most + 1]) if match.end() <= most]
    if ends and (ends[-1] >= most // 4 or not clauses):
        return _past_space(text, ends[-1], most)
    if clauses and clauses[-1] >= most // 4:
        return _past_space(text, clauses[-1], most)
    space = max(window.rfind(blank) for blank in " \t\n")
    return space + 1 if space > 0 else most


def _past_space(text: str, end: int, most: int) -> int:
    while end < most and end < len(text) and text[end].isspace():
        end += 1
    return end


def _blank_joined(parts: list[str]) -> list[str]:
    """Join parts that are only white space to the part before, whatever its length."""
    joined: list[str] = []
    for part in parts:
        if joined and not part.strip():
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _is_abbreviation(text: str, dot: int) -> bool:
    # The window is longer than any abbreviation; it bounds the search in a text that is one long word.
    word = re.search(r"[\w.]+$", text[max(0, dot - 12) : dot])
    if word is None:
        return False
    # A single capital is an initial ("J. Smith").
    return word.group().lower() in _ABBREVIATIONS or (len(word.group()) == 1 and word.group().isupper())
