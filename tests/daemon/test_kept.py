"""What outlives the process: urgent announcements, switches, known ids and the history."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from edgevoice.audio.gain import Ramp
from edgevoice.paths import mount_table
from tests.support.child import EDGEVOICE, ChildHouse, ended
from tests.support.house import OUTCOMES

# "private" needs the root to be a mount point, which it is not where it was changed.
PROPAGATION = "private" if "/" in [point for point, _ in mount_table()] else "unchanged"
LONG = "d3000z Something long."


def house_of(broker, lightning, **sections):
    kitchen = {"kitchen": {"pace": True}}
    return ChildHouse(broker, speakers=kitchen, lightning={"base_url": lightning.url}, **sections)


def outcomes(house, name):
    return [
        message.json
        for message in house.events.messages
        if message.json.get("id") == name and message.json["event_type"] in OUTCOMES
    ]


@pytest.mark.parametrize("urgency", ["high", "critical"])
async def test_what_was_waiting_or_being_said_is_said_after_sigkill(urgency, broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="said", urgency=urgency)
        await house.step("said", "started")
        await house.say("d100z Waiting.", id="waiting", urgency=urgency)
        await house.step("waiting", "queued")
        await house.leave(signal.SIGKILL)
        await house.again()
        for name in ("said", "waiting"):
            outcome = await house.outcome(name)
            assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
        texts = [lightning.expected(text) for text in (LONG, "d100z Waiting.")]
        if urgency == "critical":
            texts = [Ramp(24000).apply(text) for text in texts]
        assert house.heard().endswith(b"".join(texts))


async def test_a_normal_one_is_said_at_most_once(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="normal")
        await house.step("normal", "started")
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.said("d100z Next.", id="next")
        assert outcomes(house, "normal") == []
        assert house.heard().endswith(lightning.expected("d100z Next."))


async def test_what_finished_before_is_a_duplicate_after(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d100z Once.", id="once", urgency="high")
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.say("d100z Once.", id="once", urgency="high")
        await house.step("once", "duplicate")
        # The outcome may come once more: the daemon may not have known yet that it was published.
        assert len([told for told in outcomes(house, "once") if not told["repeated"]]) == 1


async def test_what_is_stale_by_then_expires(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="said", urgency="critical")
        await house.say("d100z Old.", id="old", urgency="high", ttl=4)
        await house.step("old", "queued")
        await house.leave(signal.SIGKILL)
        await asyncio.sleep(4)
        await house.again()
        outcome = await house.outcome("old")
        assert (outcome["event_type"], outcome["repeated"]) == ("expired", True)


async def test_sigterm_keeps_the_urgent_for_later_and_ends_the_rest(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say("d20000z Very long.", id="said", urgency="critical")
        await house.step("said", "started")
        await house.say("d100z Urgent.", id="urgent", urgency="high")
        await house.say("d100z Normal.", id="normal")
        await house.step("normal", "queued")
        await house.leave()
        normal = await house.outcome("normal")
        assert (normal["event_type"], normal["reason"]) == ("failed", "restart")
        assert outcomes(house, "urgent") == []
        await house.again()
        await house.client.publish("edgevoice/kitchen/stop", "said")
        outcome = await house.outcome("urgent")
        assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
        assert len(outcomes(house, "normal")) == 1


async def test_what_the_journal_never_had_ends_at_sigterm(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d100z Fire.", id="fire", urgency="critical")
        await house.say("d20000z Very long.", id="long", urgency="critical")
        await house.step("long", "started")
        await house.client.publish("edgevoice/kitchen/replay", "2")
        replayed = await house.events.wait(
            lambda message: (
                message.json.get("id", "").startswith("fire-r") and message.json["event_type"] == "queued"
            )
        )
        await house.leave()
        outcome = await house.outcome(replayed.json["id"])
        assert (outcome["event_type"], outcome["reason"]) == ("failed", "restart")


async def test_a_private_one_is_never_written_down(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say("The safe is behind the clock.", id="secret", urgency="high", private=True)
        await house.outcome("secret")
        await house.leave(signal.SIGKILL)
        for file in house.folder.rglob("*"):
            if file.is_file() and file.suffix not in (".wav", ".yaml"):
                assert b"behind the clock" not in file.read_bytes()


async def test_switches_and_what_is_held_survive(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.client.publish("edgevoice/kitchen/volume/set", "35")
        await house.client.publish("edgevoice/kitchen/dnd/set", "ON")
        states = await house.client.collect("edgevoice/kitchen/state")
        await states.wait(lambda message: message.json["dnd"] and message.json["volume"] == 35)
        await house.say("d100z Held.", id="held", urgency="high")
        await house.step("held", "held")
        await house.leave(signal.SIGKILL)
        states.messages.clear()
        await house.again()
        state = (await states.wait(lambda message: message.json["held"] == 1)).json
        assert (state["volume"], state["dnd"], state["mute"]) == (35, True, False)
        await house.client.publish("edgevoice/kitchen/digest", "")
        outcome = await house.outcome("held")
        assert (outcome["event_type"], outcome["reason"]) == ("finished", "digest")


async def test_the_history_is_told_and_survives(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d50z One.", id="one")
        await house.said("d50z Two.", id="two", urgency="high")
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.said("d50z Three.", id="three")
        command = (*EDGEVOICE, "history", "--config", str(house.config))
        status, out, _ = await ended(*command, "--json", home=house.home)
        assert status == 0
        assert [outcome["id"] for outcome in json.loads(out)] == ["one", "two", "three"]
        status, out, _ = await ended(*command, "--last", "2", home=house.home)
        assert status == 0
        assert "three" in out
        assert "finished" in out
        assert "one" not in out


async def test_history_without_a_daemon_says_so(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.leave()
        status, out, err = await ended(*EDGEVOICE, "history", "--config", str(house.config), home=house.home)
        assert (status, out) == (1, "")
        assert "edgevoice run" in err


async def test_explain_asks_the_running_daemon(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="said")
        await house.step("said", "started")
        command = (
            *EDGEVOICE,
            "explain",
            "Fire.",
            "--urgency",
            "critical",
            "--config",
            str(house.config),
            "--json",
        )
        status, out, _ = await ended(*command, home=house.home)
        answer = json.loads(out)
        assert (status, answer["from"]) == (0, "the running daemon")
        [on] = answer["speakers"]
        assert "interrupts what is being said at once" in on["what"]
        assert (on["volume"], answer["why"]) == (100, "urgency is critical")
        await house.leave()
        status, out, _ = await ended(*command, home=house.home)
        assert json.loads(out)["from"] == "the configuration alone"


async def test_two_daemons_on_one_state_folder_are_refused(broker, lightning):
    async with house_of(broker, lightning) as house:
        status, _, err = await ended(*EDGEVOICE, "run", "--config", str(house.config), home=house.home)
        assert status == 2
        assert str(house.folder) in err


async def test_a_full_disk_is_a_fault_and_nothing_else(broker, lightning, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    # A file system of 1 MB in a name space of the daemon's own, nearly full when it starts. Who is root may
    # make the one without the other, also where the root was changed and name spaces of users are refused.
    unshare = ("unshare", "-m", "--propagation", PROPAGATION) if os.geteuid() == 0 else ("unshare", "-rm")
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && head -c 900000 /dev/zero > "$0/rest"; exec "$@"'
    command = (*unshare, "sh", "-c", script, str(small), *EDGEVOICE)
    async with ChildHouse(
        broker, command=command, state_dir=str(small), lightning={"base_url": lightning.url}
    ) as house:
        inside = Path(f"/proc/{house.process.pid}/root{small}")
        states = await house.client.collect("edgevoice/kitchen/state")
        fill(inside / "more")
        for number in range(20):  # more than the last block has room for
            outcome = await house.said(f"d20z Spoken {number}.", urgency="critical")
            assert outcome["event_type"] == "finished"
        await states.wait(lambda message: "journal" in (message.json["fault"] or ""))
        (inside / "rest").unlink()
        (inside / "more").unlink()
        await house.said("d100z Again.", urgency="critical")
        await states.wait(lambda message: message.json["fault"] is None and len(states.messages) > 2)


def fill(file):
    with file.open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(512)):
            pass
