"""The sentences that the daemon itself speaks, in the speaker's language, else in English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Templates with `{count}`, `{name}`, `{time}` or `{text}`; pairs are singular and plural."""

    skipped: tuple[str, str]
    held: tuple[str, str]
    more_held: tuple[str, str]
    waiting: tuple[str, str]
    dated: str
    minutes_ago: tuple[str, str]
    hours_ago: tuple[str, str]


ENGLISH = Messages(
    skipped=("One more message for {name} was skipped.", "{count} more messages for {name} were skipped."),
    held=("One announcement was held.", "{count} announcements were held."),
    more_held=("One more is waiting.", "{count} more are waiting."),
    waiting=("One announcement is waiting.", "{count} announcements are waiting."),
    dated="At {time}: {text}",
    minutes_ago=("A minute ago: {text}", "{count} minutes ago: {text}"),
    hours_ago=("An hour ago: {text}", "{count} hours ago: {text}"),
)
GERMAN = Messages(
    skipped=(
        "Eine weitere Meldung für {name} wurde übersprungen.",
        "{count} weitere Meldungen für {name} wurden übersprungen.",
    ),
    held=("Eine Durchsage wurde zurückgehalten.", "{count} Durchsagen wurden zurückgehalten."),
    more_held=("Eine weitere wartet.", "{count} weitere warten."),
    waiting=("Eine Durchsage wartet.", "{count} Durchsagen warten."),
    dated="Um {time}: {text}",
    minutes_ago=("Vor einer Minute: {text}", "Vor {count} Minuten: {text}"),
    hours_ago=("Vor einer Stunde: {text}", "Vor {count} Stunden: {text}"),
)
FRENCH = Messages(
    skipped=(
        "Un autre message pour {name} a été ignoré.",
        "{count} autres messages pour {name} ont été ignorés.",
    ),
    held=("Une annonce a été retenue.", "{count} annonces ont été retenues."),
    more_held=("Une autre attend.", "{count} autres attendent."),
    waiting=("Une annonce attend.", "{count} annonces attendent."),
    dated="À {time} : {text}",
    minutes_ago=("Il y a une minute : {text}", "Il y a {count} minutes : {text}"),
    hours_ago=("Il y a une heure : {text}", "Il y a {count} heures : {text}"),
)
SPANISH = Messages(
    skipped=(
        "Se omitió un mensaje más para {name}.",
        "Se omitieron {count} mensajes más para {name}.",
    ),
    held=("Se retuvo un anuncio.", "Se retuvieron {count} anuncios."),
    more_held=("Hay uno más en espera.", "Hay {count} más en espera."),
    waiting=("Hay un anuncio en espera.", "Hay {count} anuncios en espera."),
    dated="A las {time}: {text}",
    minutes_ago=("Hace un minuto: {text}", "Hace {count} minutos: {text}"),
    hours_ago=("Hace una hora: {text}", "Hace {count} horas: {text}"),
)
LANGUAGES = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH}


def skipped(count: int, name: str, language: str) -> str:
    """Return how many messages for a target were suppressed."""
    return _counted(_of(language).skipped, count).format(count=count, name=name)


def held(count: int, language: str) -> str:
    return _counted(_of(language).held, count).format(count=count)


def more_held(count: int, language: str) -> str:
    return _counted(_of(language).more_held, count).format(count=count)


def waiting(count: int, language: str) -> str:
    """Return the sentence spoken when the quiet ends: how many announcements are held."""
    return _counted(_of(language).waiting, count).format(count=count)


def dated(moment: datetime, text: str, language: str) -> str:
    """Return a held text with the time it was received, as one sentence."""
    ended = text.strip() if text.strip()[-1:] in ".!?…" else f"{text.strip()}."
    return _of(language).dated.format(time=f"{moment:%H:%M}", text=ended)


def with_age(text: str, seconds: float, language: str) -> str:
    """Return a text with its age in front."""
    minutes = int(seconds // 60)
    if minutes < 60:
        return _counted(_of(language).minutes_ago, max(1, minutes)).format(count=minutes, text=text)
    return _counted(_of(language).hours_ago, minutes // 60).format(count=minutes // 60, text=text)


def _counted(forms: tuple[str, str], count: int) -> str:
    return forms[count != 1]


def _of(language: str) -> Messages:
    return LANGUAGES.get(language.split("-", maxsplit=1)[0].split("_", maxsplit=1)[0].lower(), ENGLISH)
