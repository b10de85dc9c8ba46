"""What the daemon says of itself: one and many, in each of its languages, else in English."""

from datetime import UTC, datetime

import pytest

from edgevoice.text import messages


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_one_and_many_are_told_apart_in_each_language(language):
    for sentence in (messages.held, messages.more_held, messages.waiting):
        one, many = sentence(1, language), sentence(17, language)
        assert "17" in many
        assert one != many.replace("17", "1")
        assert "{" not in one + many
    assert "garage" in messages.skipped(1, "garage", language)
    assert "17" in messages.skipped(17, "garage", language)


def test_the_overflow_is_one_sentence():
    assert messages.skipped(17, "the garage", "en") == "17 more messages for the garage were skipped."


@pytest.mark.parametrize("language", ["it", "", "EN-GB", "en_US"])
def test_any_other_language_is_english(language):
    assert messages.waiting(2, language) == "2 announcements are waiting."


def test_a_region_is_no_other_language():
    assert messages.waiting(2, "de-AT") == "2 Durchsagen warten."


@pytest.mark.parametrize(
    ("text", "ends"), [("Open", "Open."), ("Open. ", "Open."), ("Open?", "Open?"), ("{x}", "{x}.")]
)
def test_a_held_text_is_told_with_its_time_and_ends_as_a_sentence(text, ends):
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
def test_a_text_that_comes_late_says_its_age(seconds, age):
    assert messages.with_age("{Open}", seconds, "en") == f"{age}: {{Open}}"
