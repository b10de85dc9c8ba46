"""Roles, accounts and voices of transports that are not the bundled ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edgevoice import AccountRefused, Role, SpeechOptions, TransportError
from edgevoice.testing import TestDaemon, ToneTransport, tone

if TYPE_CHECKING:
    from pathlib import Path

    from edgevoice import SpeechRequest


class Paid(ToneTransport):
    """A transport with an account, which is refused."""

    role = Role.PRIMARY
    account = "paid"
    section = "paid"
    options = SpeechOptions

    async def synthesize(self, request: SpeechRequest):
        raise AccountRefused("no credits")
        yield b""


class AlsoPaid(Paid):
    """A second transport of the same account."""


class Free(ToneTransport):
    role = Role.PRIMARY
    requests = 0

    @classmethod
    def voice_identity(cls, options: object, request: SpeechRequest) -> str | None:
        return f"{cls.__name__} {request.voice} {request.language} {request.speed}"

    async def synthesize(self, request: SpeechRequest):
        type(self).requests += 1
        yield tone(0.1, request.sample_rate)


class Other(Free):
    """Another voice, whose clips are its own."""


class Anonymous(Free):
    """A voice without an identity."""

    @classmethod
    def voice_identity(cls, options: object, request: SpeechRequest) -> str | None:
        return None


class Silent(ToneTransport):
    role = Role.PRIMARY

    async def synthesize(self, request: SpeechRequest):
        raise TransportError("no line")
        yield b""


async def test_refused_account_rules_out_its_transports_only(tmp_path: Path) -> None:
    routes = [{"use": ["paid", "also_paid", "free", "local"]}]
    kinds = {"paid": Paid, "also_paid": AlsoPaid, "free": Free}
    async with TestDaemon(tmp_path, kinds, routes=routes) as daemon:
        event = await daemon.say("Tea is ready.")
        assert event.transport == "free"
        assert [attempt.transport for attempt in event.attempts] == ["paid"]


@pytest.mark.parametrize("kind", [Free, Other, Anonymous])
async def test_clip_is_found_only_under_its_own_voice(tmp_path: Path, kind: type[Free]) -> None:
    kinds = {"free": Free, "other": Other, "anonymous": Anonymous}
    routes = [{"use": ["free", "local"]}]
    async with TestDaemon(tmp_path, kinds, routes=routes, cache={"enabled": True}) as daemon:
        assert not (await daemon.say("Tea is ready.", id="first")).cached
        name = kind.__name__.lower()
        kind.requests = 0
        await asyncio.sleep(0.3)  # the clip is written in the background
        again = await daemon.say("Tea is ready.", transport=name, id="again")
        assert again.cached == (kind is Free)
        assert kind.requests == (kind is not Free)


async def test_failed_transport_speaks_under_no_other_key(tmp_path: Path) -> None:
    """The fallback speaks instead: its audio is not kept as the voice that was wanted."""
    routes = [{"use": ["silent", "free"]}]
    async with TestDaemon(tmp_path, {"silent": Silent, "free": Free}, routes=routes, cache={}) as daemon:
        assert (await daemon.say("Tea is ready.")).transport == "free"
        await asyncio.sleep(0.3)  # the clip is written in the background
        assert not (await daemon.say("Tea is ready.")).cached


async def test_fallback_by_role_speaks_private_and_critical(tmp_path: Path) -> None:
    routes = [{"use": ["silent", "local"]}]
    async with TestDaemon(tmp_path, {"silent": Silent}, routes=routes) as daemon:
        assert (await daemon.say("The code is 1234.", private=True)).transport == "tone"
        assert (await daemon.say("Fire!", urgency="critical")).transport == "tone"
        assert (await daemon.say("Tea.", transport="local")).transport == "tone"
