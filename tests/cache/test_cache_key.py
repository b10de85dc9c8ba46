"""Two announcements share a cache key exactly if they sound alike."""

import pytest
import yaml

from edgevoice import Transport
from edgevoice.cache.cache import KeyScheme
from edgevoice.config import settings_from
from edgevoice.text.live import LiveText
from tests.support.announcements import announcement

TEXT = "Dinner is ready."
URL = "https://example.org"


def scheme(**options):
    return KeyScheme(settings_from(yaml.safe_dump({"lightning": {"base_url": URL, **options}})))


KEY_SCHEME = scheme()


def name(text=TEXT, *, recipe=KEY_SCHEME, over="http", **keys):
    return recipe.key(announcement(text=text, **keys), text, over)


def test_key_ignores_options_without_sound():
    same = {
        name(),
        name(id="other", volume=3, chime="ding", tag="t", ttl=5.0),
        name(voice="magnus", language="en", speed=1),
        name(over="websocket"),
        name(over="http_stream"),
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
        {"pronunciation_dicts": ["one"]},
    ]
    names = [
        name(),
        name("Dinner is ready!"),
        name(voice="devansh-2"),
        name(language="de"),
        name(speed=0.9),
        name(recipe=scheme(base_url="https://example.com")),
        *(name(recipe=scheme(**changed)) for changed in lightning),
    ]
    assert len(set(names)) == len(names)


def test_uncacheable_has_no_key():
    live = announcement(live=LiveText())
    assert KEY_SCHEME.key(live, None, "http") is None
    assert name(private=True) is None
    assert name(over="local") is None
    assert name(over="not_installed") is None


def test_age_prefix_changes_key():
    said = announcement(text=TEXT)
    assert KEY_SCHEME.key(said, f"A minute ago: {TEXT}", "http") != KEY_SCHEME.key(said, TEXT, "http")


def test_key_is_opaque_hexadecimal():
    assert len(name()) == 40
    assert name().isalnum()
    assert name("../../etc/passwd\0\ud800").isalnum()


class Foreign(Transport):
    """A voice that declares no identity."""

    async def synthesize(self, request):
        yield b"\0\0"


class Cacheable(Foreign):
    @classmethod
    def voice_identity(cls, options, request):
        return f"cacheable {request.voice} {request.language} {request.speed}"


@pytest.mark.parametrize(("kind", "is_kept"), [(Foreign, False), (Cacheable, True)])
def test_foreign_voice_never_shares_a_key(kind, is_kept):
    settings = settings_from(f"lightning: {{base_url: '{URL}'}}")
    settings.plugins.transports["foreign"] = kind
    settings.sections["foreign"] = kind.options()
    foreign = name(recipe=KeyScheme(settings), over="foreign")
    assert (foreign is not None) == is_kept
    assert foreign != name()
