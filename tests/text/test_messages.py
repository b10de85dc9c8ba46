"""The sentences of the daemon: singular and plural, in each language, else in English."""

from datetime import UTC, datetime

import pytest

from edgevoice.text import messages


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_singular_and_plural(language):
    for sentence in (messages.held, messages.more_held, messages.waiting):
        one, many = sentence(1, language), sentence(17, language)
        assert "17" in many
        assert one != many.replace("17", "1")
        assert "{" not in one + many
    assert "garage" in messages.skipped(1, "garage", language)
    assert "17" in messages.skipped(17, "garage", language)


def test_languages_have_the_same_phrases():
    shapes = [{key: len(forms) for key, forms in phrases.items()} for phrases in messages.PHRASES.values()]
    assert all(shape == shapes[0] for shape in shapes)


def test_skipped():
    assert messages.skipped(17, "the garage", "en") == "17 more messages for the garage were skipped."


@pytest.mark.parametrize("language", ["it", "", "EN-GB", "en_US"])
def test_unknown_language_is_english(language):
    assert messages.waiting(2, language) == "2 announcements are waiting."


def test_region_is_ignored():
    assert messages.waiting(2, "de-AT") == "2 Durchsagen warten."


@pytest.mark.parametrize(
    ("text", "ends"), [("Open", "Open."), ("Open. ", "Open."), ("Open?", "Open?"), ("{x}", "{x}.")]
)
def test_dated(text, ends):
    assert messages.dated(datetime(2026, 3, 2, 7, 5, tzinfo=UTC), text, "en") == f"At 07:05: {ends}"


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (60, "A minute ago"),
        (119, "A minute ago"),
        (120, "2 minutes ago"),
        (3599, "59 minutes ago"),
        (3600, "An hour ago"),
        (7300, "2 hours ago"),
    ],
)
def test_with_age(seconds, age):
    assert messages.with_age("{Open}", seconds, "en") == f"{age}: {{Open}}"
