"""The sentences that the daemon itself speaks, in the speaker's language, else in English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

#: By language and name: the singular and the plural, with `{count}`, `{name}`, `{time}` or `{text}`.
PHRASES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "skipped": (
            "One more message for {name} was skipped.",
            "{count} more messages for {name} were skipped.",
        ),
        "held": ("One announcement was held.", "{count} announcements were held."),
        "more_held": ("One more is waiting.", "{count} more are waiting."),
        "waiting": ("One announcement is waiting.", "{count} announcements are waiting."),
        "dated": ("At {time}: {text}",),
        "minutes_ago": ("A minute ago: {text}", "{count} minutes ago: {text}"),
        "hours_ago": ("An hour ago: {text}", "{count} hours ago: {text}"),
    },
    "de": {
        "skipped": (
            "Eine weitere Meldung für {name} wurde übersprungen.",
            "{count} weitere Meldungen für {name} wurden übersprungen.",
        ),
        "held": ("Eine Durchsage wurde zurückgehalten.", "{count} Durchsagen wurden zurückgehalten."),
        "more_held": ("Eine weitere wartet.", "{count} weitere warten."),
        "waiting": ("Eine Durchsage wartet.", "{count} Durchsagen warten."),
        "dated": ("Um {time}: {text}",),
        "minutes_ago": ("Vor einer Minute: {text}", "Vor {count} Minuten: {text}"),
        "hours_ago": ("Vor einer Stunde: {text}", "Vor {count} Stunden: {text}"),
    },
    "fr": {
        "skipped": (
            "Un autre message pour {name} a été ignoré.",
            "{count} autres messages pour {name} ont été ignorés.",
        ),
        "held": ("Une annonce a été retenue.", "{count} annonces ont été retenues."),
        "more_held": ("Une autre attend.", "{count} autres attendent."),
        "waiting": ("Une annonce attend.", "{count} annonces attendent."),
        "dated": ("À {time} : {text}",),
        "minutes_ago": ("Il y a une minute : {text}", "Il y a {count} minutes : {text}"),
        "hours_ago": ("Il y a une heure : {text}", "Il y a {count} heures : {text}"),
    },
    "es": {
        "skipped": (
            "Se omitió un mensaje más para {name}.",
            "Se omitieron {count} mensajes más para {name}.",
        ),
        "held": ("Se retuvo un anuncio.", "Se retuvieron {count} anuncios."),
        "more_held": ("Hay uno más en espera.", "Hay {count} más en espera."),
        "waiting": ("Hay un anuncio en espera.", "Hay {count} anuncios en espera."),
        "dated": ("A las {time}: {text}",),
        "minutes_ago": ("Hace un minuto: {text}", "Hace {count} minutos: {text}"),
        "hours_ago": ("Hace una hora: {text}", "Hace {count} horas: {text}"),
    },
}


def skipped(count: int, name: str, language: str) -> str:
    """Return how many messages for a target were suppressed."""
    return _phrase("skipped", language, count, name=name)


def held(count: int, language: str) -> str:
    return _phrase("held", language, count)


def more_held(count: int, language: str) -> str:
    return _phrase("more_held", language, count)


def waiting(count: int, language: str) -> str:
    """Return the sentence spoken when the quiet ends: how many announcements are held."""
    return _phrase("waiting", language, count)


def dated(moment: datetime, text: str, language: str) -> str:
    """Return a held text with the time it was received, as one sentence."""
    ended = text.strip() if text.strip()[-1:] in ".!?…" else f"{text.strip()}."
    return _phrase("dated", language, time=f"{moment:%H:%M}", text=ended)


def with_age(text: str, seconds: float, language: str) -> str:
    """Return a text with its age in front."""
    minutes = max(1, int(seconds // 60))
    if minutes < 60:
        return _phrase("minutes_ago", language, minutes, text=text)
    return _phrase("hours_ago", language, minutes // 60, text=text)


def _phrase(key: str, language: str, count: int = 1, **values: str) -> str:
    code = re.split("[-_]", language)[0].lower()
    forms = PHRASES.get(code, PHRASES["en"])[key]
    return forms[count != 1].format(count=count, **values)
