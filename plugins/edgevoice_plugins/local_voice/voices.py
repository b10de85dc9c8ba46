"""The vendor's voices and languages, and what the local voice makes of them."""

from __future__ import annotations

from typing import NamedTuple

WORDS_A_MINUTE = 175
"""espeak-ng's own speed; it keeps to it from 80 to 450."""


class Persona(NamedTuple):
    """One voice of the vendor's catalogue: its pool, its gender, and the espeak-ng variant that stands for it."""

    model: str
    gender: str
    variant: str
    times_words: bool = False


_V31 = "lightning_v3.1"
_PRO = "lightning_v3.1_pro"

PERSONAS = {
    "magnus": Persona(_V31, "male", ""),
    "sophia": Persona(_V31, "female", "f3"),
    "olivia": Persona(_V31, "female", "f2"),
    "daniel": Persona(_V31, "male", "m7"),
    "jordan": Persona(_V31, "male", "m1"),
    "rachel": Persona(_V31, "female", "f4"),
    "devansh": Persona(_V31, "male", "m3", times_words=True),
    "meher": Persona(_PRO, "female", "f3", times_words=True),
    "kaitlyn": Persona(_PRO, "female", "f5"),
    "rhea": Persona(_PRO, "female", "f1"),
    "kartik": Persona(_PRO, "male", "m2", times_words=True),
    "maithili": Persona(_PRO, "female", "f4", times_words=True),
    "liam": Persona(_PRO, "male", "m4", times_words=True),
    "avery": Persona(_PRO, "female", "f2", times_words=True),
}
"""By the vendor's voice id; which of them give word timestamps is the vendor's list (API reference)."""

_ESPEAK = {"no": "nb", "zh": "cmn", "en-gb": "en", "zh-cn": "cmn", "zh-tw": "cmn"}
"""Codes that espeak-ng spells otherwise; its wheel has no voice file called en-gb."""

LANGUAGES = {
    "en": "english",
    "hi": "hindi",
    "mr": "marathi",
    "kn": "kannada",
    "ta": "tamil",
    "bn": "bengali",
    "gu": "gujarati",
    "te": "telugu",
    "ml": "malayalam",
    "pa": "punjabi",
    "or": "odia",
    "es": "spanish",
    "de": "german",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "sv": "swedish",
    "pt": "portuguese",
    "ru": "russian",
    "pl": "polish",
    "el": "greek",
    "fi": "finnish",
    "no": "norwegian",
    "ar": "arabic",
    "zh": "chinese",
    "id": "indonesian",
    "ja": "japanese",
    "ko": "korean",
    "ms": "malay",
    "tr": "turkish",
    "vi": "vietnamese",
}
"""The vendor's language codes (both models), and what its lists of voices call them."""


def espeak_voice(voice: str, language: str | None) -> str:
    """The espeak-ng voice for a voice id and a language code; English and the plain voice where unknown."""
    persona = PERSONAS.get(voice.lower())
    variant = f"+{persona.variant}" if persona and persona.variant else ""
    return _espeak_language(language or "en") + variant


def espeak_rate(speed: float) -> int:
    """Words a minute for a speed of 0.5 to 2."""
    return min(450, max(80, round(WORDS_A_MINUTE * speed)))


def _espeak_language(code: str) -> str:
    code = code.lower().replace("_", "-")
    primary = code.split("-")[0]
    for spelt in (code, primary):
        if spelt in _ESPEAK or spelt in LANGUAGES:
            return _ESPEAK.get(spelt, spelt)
    return "en"
