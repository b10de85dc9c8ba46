"""The lists of voices, as the vendor's API gives them."""

from __future__ import annotations

from typing import Any

from edgevoice_plugins.local_voice.voices import LANGUAGES, VOICES, VoiceMapping

_V31_LANGUAGES = tuple(LANGUAGES.values())[:20]
"""The first model speaks the first twenty, the other all (vendor's API reference)."""


def list_voices(model: str) -> dict[str, Any]:
    """The voices of one model, by its name in bodies."""
    return {"voices": [_voice(name, mapping) for name, mapping in VOICES.items() if mapping.model == model]}


def catalogue() -> dict[str, Any]:
    """The voices of all models, with what only this list has."""
    return {
        "voices": [
            {
                "_id": f"local-{name}",
                **_voice(name, mapping),
                "description": "Spoken by the local voice",
                "audioPreview": "",
            }
            for name, mapping in VOICES.items()
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
