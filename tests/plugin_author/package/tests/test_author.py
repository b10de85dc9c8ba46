"""The tests that an author writes: the suites, and all four plugins in one daemon."""

import asyncio

import edgevoice_author
import pytest
from edgevoice_author import Buffer, Morse, Spool, Tally

import edgevoice
from edgevoice import ConfigError
from edgevoice.testing import check_observer, check_output, check_source, check_transport, context, make


def test_conform(tmp_path):
    async def main():
        await check_source(Spool, tmp_path)
        await check_transport(Morse, tmp_path, concurrency=2)
        await check_output(Buffer, tmp_path, file=str(tmp_path / "raw"))
        await check_observer(Tally, tmp_path)

    asyncio.run(main())


def test_options_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="frequency_hz"):
        make(Morse, context(tmp_path), frequency_hz=1.0)


def test_all_in_one_daemon(edgevoice_daemon, tmp_path):
    """The daemon loads them by their entry point: nothing is registered here."""
    spool, raw = tmp_path / "in", tmp_path / "raw"
    spool.mkdir()

    async def main():
        async with edgevoice_daemon(
            spool={"folder": str(spool)},
            morse={"frequency_hz": 700.0},
            routes=[{"use": ["morse", "local"]}],
            speakers={"kitchen": {"output": {"type": "buffer", "file": str(raw)}}},
        ) as daemon:
            (spool / "kitchen.txt").write_text('{"text": "It is 5°C.", "id": "spooled"}')
            event = await daemon.outcome("spooled")
            assert (event.event_type, event.transport) == ("finished", "morse")
            private = await daemon.say("The code is 1234.", private=True)
            assert private.transport != "morse"
            for _ in range(200):
                if (tmp_path / "tally.txt").exists() and "\n" in (tmp_path / "tally.txt").read_text():
                    break
                await asyncio.sleep(0.02)

    asyncio.run(main())
    letters = len("Itis5degrees")
    assert len(raw.read_bytes()) >= letters * 160 * 3 * 2
    assert "finished morse" in (tmp_path / "tally.txt").read_text()


def test_refused_account_is_replaced(edgevoice_daemon):
    async def main():
        sections = {"morse": {"credit": False}, "routes": [{"use": ["morse", "local"]}]}
        async with edgevoice_daemon(**sections) as daemon:
            return await daemon.say("Tea is ready.")

    event = asyncio.run(main())
    assert event.transport != "morse"
    assert [attempt.transport for attempt in event.attempts] == ["morse"]


def test_environment_is_the_installed_one():
    assert "site-packages" in edgevoice.__file__
    assert "site-packages" in edgevoice_author.__file__
    assert edgevoice.API_VERSION.startswith("1.")
