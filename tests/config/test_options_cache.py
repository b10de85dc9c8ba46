"""Mistakes in `cache` and `phrases` are told with their path, and phrases that do not fit are noted."""

from __future__ import annotations

import pytest

from edgevoice.config import settings_from
from edgevoice.config.options import CacheOptions, Phrase
from edgevoice.errors import ConfigError


def test_cache_options_are_applied():
    core = settings_from(
        "cache: {max_mb: 5, max_days: 7}\n"
        "phrases: [At the door., {text: Das Essen., voice: devansh, language: de, speed: 1.5}]"
    ).core
    assert core.cache == CacheOptions(enabled=True, max_mb=5, max_days=7)
    assert core.phrases == (
        "At the door.",
        Phrase(text="Das Essen.", voice="devansh", language="de", speed=1.5),
    )
    assert settings_from("").core.phrases == ()


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("cache: {max_mb: 0}", "cache.max_mb", ">= 1"),
        ("cache: {max_days: 1.5}", "cache.max_days", "whole number"),
        ("cache: {enabled: perhaps}", "cache.enabled", "true or false"),
        ("cache: {max_days_: 5}", "cache.max_days_", "max_days"),
        ("cache: false", "cache", "must be a mapping"),
        ("phrases: At the door.", "phrases", "list"),
        ("phrases: [12]", "phrases[0]", "has to be a text, or {text:"),
        ("phrases: [a, '  ']", "phrases[1]", "blank; allowed: 1 to 8000 characters"),
        ("phrases: [{text: ''}]", "phrases[0].text", "blank"),
        ('phrases: ["a\\a"]', "phrases[0]", "control character"),
        ("phrases: [{txt: a}]", "phrases[0].txt", "text"),
        ("phrases: [{voice: a}]", "phrases[0].text", "missing"),
        ("phrases: [a, {text: a, speed: 3}]", "phrases[1].speed", "<= 2"),
        ("cache: {enabled: false}\nphrases: [a]", "phrases", "set `cache.enabled: true`"),
    ],
)
def test_a_mistake_is_told_with_its_path(text, path, message):
    with pytest.raises(ConfigError) as error:
        settings_from(text)
    [mistake] = [mistake for mistake in error.value.issues if mistake.path == path]
    assert message in mistake.message
    assert mistake.line


def test_phrases_that_will_not_fit_are_noted():
    long = "a" * 2000
    assert settings_from(f"phrases: [a, {long}]").warnings == (
        "phrases[1]: probably too long for the cache (over 4.2 MB)",
    )
    many = "[" + ", ".join(f"{'a' * 150}{number}" for number in range(10)) + "]"
    assert settings_from(f"cache: {{max_mb: 4}}\nphrases: {many}").warnings == (
        "phrases: about 5 MB are needed to keep them all, more than cache.max_mb",
    )
    assert settings_from(f"phrases: {many}").warnings == ()
