"""The lists of voices, as the vendor's API returns them."""

from __future__ import annotations

from typing import Any

from edgevoice_plugins.local_voice.voices import LANGUAGES, VOICES, VoiceMapping

#: The first model speaks the first twenty languages, the other one all (vendor's API reference).
_V31_LANGUAGES = tuple(LANGUAGES.values())[:20]


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
