"""The vendor's voices and languages, mapped to those of espeak-ng, and listed as the vendor's API does."""

from __future__ import annotations

from typing import Any, NamedTuple

#: espeak-ng's default speed, and the range in which it is exact.
DEFAULT_WORDS_PER_MINUTE = 175
MIN_WORDS_PER_MINUTE, MAX_WORDS_PER_MINUTE = 80, 450


class VoiceMapping(NamedTuple):
    """A voice of the vendor's catalogue, and the espeak-ng variant that stands for it."""

    #: The model whose list has the voice.
    model: str
    gender: str
    variant: str
    #: Whether the vendor gives word timestamps for it (API reference).
    has_word_timestamps: bool = False


_V31 = "lightning_v3.1"
_PRO = "lightning_v3.1_pro"
#: By the vendor's voice id.
VOICES = {
    "magnus": VoiceMapping(_V31, "male", ""),
    "sophia": VoiceMapping(_V31, "female", "f3"),
    "olivia": VoiceMapping(_V31, "female", "f2"),
    "daniel": VoiceMapping(_V31, "male", "m7"),
    "jordan": VoiceMapping(_V31, "male", "m1"),
    "rachel": VoiceMapping(_V31, "female", "f4"),
    "devansh": VoiceMapping(_V31, "male", "m3", has_word_timestamps=True),
    "meher": VoiceMapping(_PRO, "female", "f3", has_word_timestamps=True),
    "kaitlyn": VoiceMapping(_PRO, "female", "f5"),
    "rhea": VoiceMapping(_PRO, "female", "f1"),
    "kartik": VoiceMapping(_PRO, "male", "m2", has_word_timestamps=True),
    "maithili": VoiceMapping(_PRO, "female", "f4", has_word_timestamps=True),
    "liam": VoiceMapping(_PRO, "male", "m4", has_word_timestamps=True),
    "avery": VoiceMapping(_PRO, "female", "f2", has_word_timestamps=True),
}
#: Language codes that espeak-ng spells otherwise; its wheel has no voice file called en-gb.
_ESPEAK_CODES = {"no": "nb", "zh": "cmn", "en-gb": "en", "zh-cn": "cmn", "zh-tw": "cmn"}
#: The vendor's language codes (both models), and their names in its lists of voices.
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
#: The first model speaks the first twenty languages, the other one all (vendor's API reference).
_V31_LANGUAGES = tuple(LANGUAGES.values())[:20]


def espeak_voice(voice: str, language: str | None) -> str:
    """Return the espeak-ng voice for the vendor's codes; unknown ones give the default voice and English."""
    mapping = VOICES.get(voice.lower())
    variant = f"+{mapping.variant}" if mapping and mapping.variant else ""
    return _espeak_language(language or "en") + variant


def words_per_minute(speed: float) -> int:
    """Return the speed of espeak-ng for a speed of 0.5 to 2."""
    return min(MAX_WORDS_PER_MINUTE, max(MIN_WORDS_PER_MINUTE, round(DEFAULT_WORDS_PER_MINUTE * speed)))


def _espeak_language(code: str) -> str:
    code = code.lower().replace("_", "-")
    primary = code.split("-")[0]
    for spelt in (code, primary):
        if spelt in _ESPEAK_CODES or spelt in LANGUAGES:
            return _ESPEAK_CODES.get(spelt, spelt)
    return "en"


def list_voices(model: str) -> dict[str, Any]:
    """Return the voices of one model, given by its name in bodies."""
    return {"voices": [_voice(name, voice) for name, voice in VOICES.items() if voice.model == model]}


def catalogue() -> dict[str, Any]:
    """Return the voices of all models, with the keys that only this list has."""
    return {
        "voices": [
            {
                "_id": f"local-{name}",
                **_voice(name, voice),
                "description": "Spoken by the local voice",
                "audioPreview": "",
            }
            for name, voice in VOICES.items()
        ]
    }


def _voice(name: str, mapping: VoiceMapping) -> dict[str, Any]:
    languages = _V31_LANGUAGES if mapping.model == "lightning_v3.1" else tuple(LANGUAGES.values())
    return {
        "voiceId": name,
        "displayName": name.capitalize(),
        "tags": {
            "language": list(languages),
            "accent": "neutral",
            "gender": mapping.gender,
            "age": "adult",
            "emotions": [],
            "usecases": ["announcements"],
        },
    }
