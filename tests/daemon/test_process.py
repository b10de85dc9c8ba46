"""`edgevoice run` as a process: how it ends, what it refuses to start with, and what it does without a key."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.child import EDGEVOICE, ChildHouse, ended
from tests.support.dropin import dropin
from tests.support.lightning import Fault
from tests.support.notify import NotifySocket

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.broker import Broker
    from tests.support.lightning import LightningServer

CANARY = "canary-4711-do-not-show"
WITHOUT = "import sys; sys.modules[{module!r}] = None; from edgevoice.cli import main; main()"


def edgevoice_without(module: str) -> tuple[str, ...]:
    """The command where a module is not installed."""
    return (sys.executable, "-c", WITHOUT.format(module=module))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_sigterm_while_speaking_publishes_every_outcome(
    broker: Broker, lightning: LightningServer, how: signal.Signals
) -> None:
    async with ChildHouse(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d30000z A very long one.", id="long")
        await house.step("long", "started")
        await house.say("d100z Waits.", id="waits")
        await house.say("d100z Waits too.", id="urgent", urgency="high")
        await house.step("urgent", "queued")
        async with asyncio.timeout(8):
            await house.leave(how)
        assert house.status == 0
        outcome = await house.outcome("long")
        assert (outcome["event_type"], outcome["reason"]) == ("failed", "restart"), outcome
        for name in ("waits", "urgent"):
            assert house.steps(name) == ["queued"]  # it is said after the next start
        await house.available.wait_for_payload("offline")
        assert house.available.messages[-1].payload == b"offline"
        heard = house.heard()
        assert lightning.expected("d30000z A very long one.").startswith(heard)
        spoken = (await house.outcome("long"))["spoken_s"]
        assert len(heard) / 48000 == pytest.approx(spoken, abs=0.001)
        assert spoken > 1


async def test_sigterm_lets_a_short_announcement_finish(broker: Broker, lightning: LightningServer) -> None:
    async with ChildHouse(broker, pace=True, lightning={"base_url": lightning.url}) as house:
        await house.say("d1500z Soon over.", id="short")
        await house.step("short", "started")
        await house.leave()
        assert (house.status, (await house.outcome("short"))["event_type"]) == (0, "finished")
        assert house.heard() == lightning.expected("d1500z Soon over.")


async def test_killed_daemon_is_offline_by_its_last_will(broker: Broker, lightning: LightningServer) -> None:
    async with ChildHouse(broker, lightning={"base_url": lightning.url}) as house:
        await house.leave(signal.SIGKILL)
        await house.available.wait(lambda m: m.payload == b"offline" and not m.retained)
        assert house.status == -signal.SIGKILL


async def test_run_reports_all_configuration_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.yaml"
    file.write_text(
        "node: All!\n"
        "mqtt: {host: localhost, prot: 1883}\n"
        "lightning: {sample_rate: 12345, api_key_file: missing}\n"
        "speakers: {kitchen: {output: wav_flie}}\n"
        "spekers: {}\n"
    )
    status, out, err = await ended(*EDGEVOICE, "run", "--config", str(file), home=tmp_path)
    assert (status, out) == (2, "")
    for path in (
        "node",
        "mqtt.prot",
        "lightning.sample_rate",
        "lightning.api_key_file",
        "speakers.kitchen.output",
    ):
        assert path in err, err
    assert all(right in err for right in ("port", "wav_file", "speakers"))
    assert "Traceback" not in err


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_empty_key_file_is_a_mistake(tmp_path: Path, content: str | None) -> None:
    key = tmp_path / "api_key"
    if content is not None:
        key.write_text(content)
    file = tmp_path / "edgevoice.yaml"
    file.write_text(
        f"lightning: {{api_key_file: {key}}}\nspeakers: {{a: {{output: wav_file, path: a.wav}}}}\n"
    )
    env = {"SMALLEST_API_KEY": CANARY}
    status, _, err = await ended(*EDGEVOICE, "run", "--config", str(file), home=tmp_path, env=env)
    assert status == 2
    assert "lightning.api_key_file" in err
    assert "line 1" in err
    assert CANARY not in err


async def test_without_key_local_voice_speaks_directly(broker: Broker) -> None:
    async with ChildHouse(broker, lightning={"voice": "magnus"}) as house:
        for forced in ({}, {"transport": "http"}, {"transport": "websocket"}, {"transport": "local"}):
            before = len(house.heard())
            outcome = await house.said(
                "Dinner is ready in the kitchen.", id=f"a{len(forced)}{before}", **forced
            )
            assert outcome["event_type"] == "finished"
            assert (outcome["transport"], outcome["attempts"], outcome["cached"]) == ("local", [], False)
            samples = np.frombuffer(house.heard()[before:], np.int16)
            assert 1 < len(samples) / 24000 < 6
            assert samples.max() > 1000
        told = [line for line in house.log.splitlines() if "no API key" in line]
        assert len(told) == 1
        assert "local voice" in told[0]
        assert "lightning.api_key_file" in told[0]


async def test_no_key_and_no_local_voice_says_what_to_install(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.yaml"
    file.write_text(f"state_dir: {tmp_path}\nspeakers: {{a: {{output: wav_file, path: {tmp_path}/a.wav}}}}\n")
    command = (*edgevoice_without("espeakng_loader"), "run", "--config", str(file))
    status, _, err = await ended(*command, home=tmp_path)
    assert status == 2
    assert 'pip install "edgevoice[local]"' in err
    assert "Traceback" not in err


async def test_output_without_its_extra_says_what_to_install(
    tmp_path: Path,
) -> None:
    file = tmp_path / "edgevoice.yaml"
    file.write_text("speakers: {kitchen: {output: sound_card}}\n")
    status, _, err = await ended(*edgevoice_without("pyaudio"), "run", "--config", str(file), home=tmp_path)
    assert status == 2
    assert "speakers.kitchen.output: 'sound_card' needs pyaudio: pip install \"edgevoice[audio]\"" in err


BROKEN = {
    "syntax": "def (",
    "raises": "raise RuntimeError('nothing works')",
    "leaves": "raise SystemExit(3)",
    "imports": "import no_such_module_at_all",
    "registers_nothing": "x = 1",
}


async def test_broken_plugins_are_logged_and_harmless(
    broker: Broker, lightning: LightningServer, tmp_path: Path
) -> None:
    options = {"plugins_dir": str(dropin(tmp_path, **BROKEN)), "lightning": {"base_url": lightning.url}}
    async with ChildHouse(broker, **options) as house:
        assert (await house.said("d100z"))["event_type"] == "finished"
        for name in BROKEN:
            (line,) = [line for line in house.log.splitlines() if f"plugin {name} " in line]
            assert "is not used" in line


async def test_systemd_gets_ready_status_and_stopping(
    broker: Broker, lightning: LightningServer, tmp_path: Path
) -> None:
    with NotifySocket(tmp_path) as notify:
        env = {"NOTIFY_SOCKET": str(notify.path), "WATCHDOG_USEC": "300000"}
        house = ChildHouse(broker, pace=True, env=env, lightning={"base_url": lightning.url})
        async with house:
            await notify.until("READY=1")
            await notify.until("STATUS=idle")
            notify.heard.clear()
            await notify.until("WATCHDOG=1")
            await house.say("d700z", id="a")
            await notify.until("STATUS=speaking in kitchen")
            await house.outcome("a")
            notify.heard.clear()
            await notify.until("WATCHDOG=1")
            await house.leave()
            await notify.until("STOPPING=1")


def texts(folder: Path) -> str:
    """All that lies in a folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return "\n".join(file.read_bytes().decode(errors="replace") for file in files)


@pytest.mark.parametrize("verbose", [(), ("-v",)])
async def test_api_key_is_used_and_never_shown(
    broker: Broker, lightning: LightningServer, verbose: tuple[str, ...]
) -> None:
    lightning.api_key = CANARY
    env = {"SMALLEST_API_KEY": CANARY}
    async with ChildHouse(broker, args=verbose, env=env, lightning={"base_url": lightning.url}) as house:
        everything = await house.client.collect("#")
        for transport in ("http", "http_stream", "websocket"):
            assert (await house.said("d100z", transport=transport, id=transport))["event_type"] == "finished"
        echo = json.dumps({"error": "Oops", "message": f"Bearer {CANARY} is not liked"}).encode()
        for status in (500, 401):
            lightning.plan(Fault(status=status, body=echo), times=6)
            for transport in ("http", "http_stream", "websocket"):
                await house.said("d100z Refused.", transport=transport, id=f"{transport}-{status}")
            lightning._plan.clear()
        lightning.api_key = "another"
        await house.said("d100z Wrong key.", id="wrong")
        await house.leave()
        assert len(everything.messages) > 20
        assert CANARY not in "".join(f"{m.topic} {m.payload.decode()}" for m in everything.messages)
        house.config.unlink()
        assert "finished" in house.log
        assert CANARY not in texts(house.folder)


async def test_user_configuration_is_found_and_checked(tmp_path: Path) -> None:
    file = tmp_path / ".config" / "edgevoice" / "edgevoice.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("nodde: kitchen\n")
    status, _, err = await ended(*EDGEVOICE, "run", home=tmp_path)
    assert status == 2
    assert "nodde" in err
    assert "node" in err
