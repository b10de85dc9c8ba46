"""Two announcements share a cache key exactly if they sound alike."""

import msgspec
import pytest

from edgevoice.cache.key import LOOPBACK, KeyScheme
from edgevoice.config import settings_from
from edgevoice.config.options import Lightning
from edgevoice.text.live import LiveText
from tests.support.announcements import announcement

TEXT = "Dinner is ready."
RECIPE = KeyScheme(Lightning(), "https://example.org", frozenset({"local", "piper"}))


def name(text=TEXT, *, recipe=RECIPE, **keys):
    return recipe.key(announcement(text=text, **keys), text)


def test_key_ignores_options_without_sound():
    same = {
        name(),
        name(id="other", volume=3, chime="ding", tag="t", ttl=5.0),
        name(voice="magnus", language="en", speed=1),
        name(transport="websocket"),
        name(f"  {TEXT}\n"),
    }
    assert len(same) == 1


def test_key_differs_with_sound():
    lightning = [
        {"model": "lightning_v3.1_pro"},
        {"voice": "devansh"},
        {"language": "hi"},
        {"speed": 1.1},
        {"sample_rate": 44100},
        {"pronunciation_dicts": ("one",)},
    ]
    names = [
        name(),
        name("Dinner is ready!"),
        name(voice="devansh-2"),
        name(language="de"),
        name(speed=0.9),
        name(recipe=KeyScheme(Lightning(), "https://example.com", frozenset())),
        *(
            name(recipe=KeyScheme(msgspec.structs.replace(Lightning(), **changed), RECIPE.root, frozenset()))
            for changed in lightning
        ),
    ]
    assert len(set(names)) == len(names)


def test_uncacheable_has_no_key():
    live = announcement(live=LiveText())
    assert RECIPE.key(live, None) is None
    assert name(private=True) is None
    assert name(transport="local") is None
    assert name(transport="piper") is None


def test_age_prefix_changes_key():
    said = announcement(text=TEXT)
    assert RECIPE.key(said, f"A minute ago: {TEXT}") != RECIPE.key(said, TEXT)


def test_key_is_opaque_hexadecimal():
    assert len(name()) == 40
    assert name().isalnum()
    assert name("../../etc/passwd\0\ud800").isalnum()


@pytest.mark.parametrize(
    ("text", "key", "root"),
    [
        ("", None, LOOPBACK),
        ("", "sk_of_nobody", "https://api.smallest.ai"),
        ("lightning: {base_url: 'http://pi:8400/'}", None, "http://pi:8400"),
        ("lightning: {base_url: 'http://pi:8400'}", "sk_of_nobody", "http://pi:8400"),
    ],
)
def test_root_of_scheme(text, key, root):
    recipe = KeyScheme.of(settings_from(text), key)
    assert recipe.root == root
    assert recipe.other_voices == {"local"}
