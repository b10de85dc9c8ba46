"""The state that outlives the process: urgent announcements, switches, known ids and the history.

Length: every case restarts the same kind of daemon and reads the same state.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from edgevoice.audio.gain import Ramp
from edgevoice.storage.database import read_history
from edgevoice.storage.schema import FILE
from tests.support.broker import Broker
from tests.support.child import EDGEVOICE, ChildHouse, ended
from tests.support.house import OUTCOMES

# "private" needs the root to be a mount point, which it is not where it was changed.
MOUNTS = Path("/proc/self/mountinfo").read_text().splitlines()
PROPAGATION = "private" if "/" in [line.split(" ")[4] for line in MOUNTS] else "unchanged"
LONG = "d3000z Something long."
#: Longer than a restart takes on a busy machine, so that what is spoken at once is noticed.
NOT_BEFORE_S = 15


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
async def test_urgent_announcements_survive_sigkill(urgency, broker, lightning):
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


async def test_normal_announcement_is_lost_with_sigkill(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="normal")
        await house.step("normal", "started")
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.said("d100z Next.", id="next")
        assert outcomes(house, "normal") == []
        assert house.heard().endswith(lightning.expected("d100z Next."))


async def test_finished_id_is_a_duplicate_after_restart(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d100z Once.", id="once", urgency="high")
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.say("d100z Once.", id="once", urgency="high")
        await house.step("once", "duplicate")
        # The outcome may come once more: the daemon may not have known yet that it was published.
        assert len([told for told in outcomes(house, "once") if not told["repeated"]]) == 1


async def test_stale_announcement_expires_after_restart(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="said", urgency="critical")
        await house.say("d100z Old.", id="old", urgency="high", ttl=4)
        await house.step("old", "queued")
        await house.leave(signal.SIGKILL)
        await asyncio.sleep(4)
        await house.again()
        outcome = await house.outcome("old")
        assert (outcome["event_type"], outcome["repeated"]) == ("expired", True)


async def test_sigterm_keeps_what_waits_for_the_next_start(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say("d20000z Very long.", id="said", urgency="critical")
        await house.step("said", "started")
        await house.say("d100z Urgent.", id="urgent", urgency="high")
        await house.say("d100z Normal.", id="normal")
        await house.say("d100z Low.", id="low", urgency="low")
        await house.say("d100z Private.", id="private", private=True)
        await house.step("private", "queued")
        await house.leave()
        private = await house.outcome("private")
        assert (private["event_type"], private["reason"]) == ("failed", "restart")
        assert [outcomes(house, name) for name in ("said", "urgent", "normal", "low")] == [[]] * 4
        await house.again()
        await house.client.publish("edgevoice/kitchen/stop", "said")
        for name in ("urgent", "normal", "low"):
            outcome = await house.outcome(name)
            assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
            assert len(outcomes(house, name)) == 1
        await house.leave()
        await house.again()
        await house.said("d100z The last one.", id="last")
        assert len(outcomes(house, "normal")) == 1


async def test_sigterm_keeps_a_replay_that_waits(broker, lightning):
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
        assert outcomes(house, replayed.json["id"]) == []
        await house.again()
        await house.client.publish("edgevoice/kitchen/stop", "long")
        outcome = await house.outcome(replayed.json["id"])
        assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)


async def test_private_announcement_is_never_written(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say("The safe is behind the clock.", id="secret", urgency="high", private=True)
        await house.outcome("secret")
        await house.leave(signal.SIGKILL)
        for file in house.folder.rglob("*"):
            if file.is_file() and file.suffix not in (".wav", ".yaml"):
                assert b"behind the clock" not in file.read_bytes()


async def test_settings_and_held_announcements_survive_sigkill(broker, lightning):
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


async def test_history_survives_sigkill(broker, lightning):
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


async def test_history_works_without_a_daemon(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d50z One.", id="one")
        await house.leave()
        command = (*EDGEVOICE, "history", "--config", str(house.config), "--json")
        status, out, _ = await ended(*command, home=house.home)
        assert status == 0
        assert [outcome["id"] for outcome in json.loads(out)] == ["one"]


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
        assert "interrupts the current announcement at once" in on["what"]
        assert (on["volume"], answer["why"]) == (100, "urgency is critical")
        await house.leave()
        status, out, _ = await ended(*command, home=house.home)
        assert json.loads(out)["from"] == "the configuration alone"


async def test_second_daemon_on_a_state_folder_is_refused(broker, lightning):
    async with house_of(broker, lightning) as house:
        status, _, err = await ended(*EDGEVOICE, "run", "--config", str(house.config), home=house.home)
        assert status == 2
        assert str(house.folder) in err


async def test_full_disk_is_only_a_fault(broker, lightning, tmp_path):
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
        await states.wait(lambda message: "storage" in (message.json["fault"] or ""))
        (inside / "rest").unlink()
        (inside / "more").unlink()
        await house.said("d100z Again.", urgency="critical")
        await states.wait(lambda message: message.json["fault"] is None and len(states.messages) > 2)


async def test_low_and_normal_survive_a_polite_restart_once(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say("d20000z Very long.", id="said", urgency="high")
        await house.step("said", "started")
        await house.say("d100z Normal.", id="normal")
        await house.say("d100z Low.", id="low", urgency="low", ttl=60)
        await house.say("d100z Soon over.", id="stale", urgency="low", ttl=2)
        await house.step("stale", "queued")
        await house.leave()
        assert [outcomes(house, name) for name in ("said", "normal", "low")] == [[], [], []]
        await asyncio.sleep(2)
        await house.again()
        await house.client.publish("edgevoice/kitchen/stop", "said")
        for name, how in (("normal", "finished"), ("low", "finished"), ("stale", "expired")):
            outcome = await house.outcome(name)
            assert (outcome["event_type"], outcome["repeated"]) == (how, True)
        await house.leave(signal.SIGKILL)
        await house.again()
        await house.said("d50z Last.", id="last")
        assert [len(outcomes(house, name)) for name in ("normal", "low", "stale")] == [1, 1, 1]


async def test_restored_normal_announcement_is_not_spoken_twice(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.say("d20000z Very long.", id="said", urgency="high")
        await house.step("said", "started")
        await house.say("d100z Normal.", id="normal")
        await house.step("normal", "queued")
        await house.leave()
        house.events.messages.clear()
        await house.again()
        await house.step("normal", "queued")
        await house.leave(signal.SIGKILL)
        house.events.messages.clear()
        await house.again()
        await house.step("said", "started")
        await house.client.publish("edgevoice/kitchen/stop", "said")
        await house.said("d50z Last.", id="last")
        assert house.steps("normal") == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_not_before_survives_a_restart(how, broker, lightning):
    """Defect 9.2: after a restart it was said at once."""
    async with house_of(broker, lightning) as house:
        began = asyncio.get_running_loop().time()
        await house.say("d100z Later.", id="later", urgency="high", not_before=NOT_BEFORE_S)
        await house.step("later", "queued")
        await house.leave(how)
        await house.again()
        outcome = await house.outcome("later")
        assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
        assert asyncio.get_running_loop().time() - began > NOT_BEFORE_S - 0.5


async def test_restored_announcement_is_synthesized_once(broker, lightning):
    """Defect 9.9: it was paid for once for each speaker."""
    speakers = {name: {"pace": True} for name in ("kitchen", "study", "bath")}
    async with ChildHouse(broker, speakers=speakers, lightning={"base_url": lightning.url}) as house:
        await house.say(LONG, id="said", to="all", urgency="high")
        await house.step("said", "started")
        await house.leave(signal.SIGKILL)
        before = len(lightning.requests)
        await house.again()
        for name in speakers:
            assert (await house.outcome("said", speaker=name))["event_type"] == "finished"
        assert len(lightning.requests) == before + 1


async def test_pending_announcement_of_a_removed_speaker_fails(broker, lightning):
    """Defect 9.10: it stayed pending forever, without an outcome."""
    two = {"kitchen": {"pace": True}, "study": {"pace": True}}
    async with ChildHouse(broker, speakers=two, lightning={"base_url": lightning.url}) as house:
        await house.say(LONG, id="said", to="all", urgency="high")
        await house.step("said", "started")
        await house.leave(signal.SIGKILL)
        configuration = yaml.safe_load(house.config.read_text())
        del configuration["speakers"]["study"]
        house.config.write_text(yaml.safe_dump(configuration))
        await house.again()
        gone = await house.outcome("said", speaker="study")
        assert (gone["event_type"], gone["reason"], gone["repeated"]) == ("failed", "unknown speaker", True)
        assert (await house.outcome("said", speaker="kitchen"))["event_type"] == "finished"
        await house.said("d50z By its end the broker has told that it has the outcomes before.", id="between")
        await house.leave(signal.SIGKILL)
        house.events.messages.clear()
        await house.again()
        await house.said("d50z Last.", id="last")
        assert house.steps("said") == []


async def test_outcomes_of_an_outage_are_published_after_a_crash(lightning):
    with Broker() as broker:
        async with house_of(broker, lightning) as house:
            await house.said("d100z First.", id="first", urgency="high")
            await house.say("d1000z Urgent.", id="urgent", urgency="high")
            await house.say("d100z Normal.", id="normal")
            await house.step("urgent", "started")
            broker.stop()
            async with asyncio.timeout(30):
                while len(history := read_history(house.folder / FILE, last=9)) < 3:
                    await asyncio.sleep(0.05)
            assert {told["id"] for told in history} == {"first", "urgent", "normal"}
            await house.leave(signal.SIGKILL)
            await house.client.__aexit__()
            broker.start()
            await house.connect()
            await house.again()
            outcome = await house.outcome("urgent")
            assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
            await house.said("d50z Last.", id="last")
            assert outcomes(house, "normal") == []
            await house.leave(signal.SIGKILL)
            house.events.messages.clear()
            await house.again()
            await house.said("d50z Last.", id="last-one")
            assert len(outcomes(house, "urgent")) == 0


async def test_history_has_texts_unless_private(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.said("d50z Open.", id="open")
        await house.said("The safe is behind the clock.", id="private", private=True)
        told = {one["id"]: one.get("text") for one in read_history(house.folder / FILE, last=9)}
        assert told == {"open": "d50z Open.", "private": None}
    async with house_of(broker, lightning, history={"texts": False}) as house:
        await house.said("d50z Open.", id="open")
        [told] = read_history(house.folder / FILE, last=9)
        assert "text" not in told


async def test_late_database_is_restored_from(broker, lightning):
    """Defect 9.11: it was off until the next restart."""
    async with house_of(broker, lightning) as house:
        await house.say(LONG, id="said", urgency="high")
        await house.step("said", "started")
        await house.leave(signal.SIGKILL)
        file, hidden = house.folder / FILE, house.folder / "hidden"
        file.rename(hidden)
        file.mkdir()
        states = await house.client.collect("edgevoice/kitchen/state")
        house.events.messages.clear()
        await house.again()
        await states.wait(lambda message: "storage" in (message.json["fault"] or ""))
        assert (await house.said("d50z Meanwhile.", urgency="critical"))["event_type"] == "finished"
        assert house.steps("said") == []
        file.rmdir()
        hidden.rename(file)
        outcome = await house.outcome("said")
        assert (outcome["event_type"], outcome["repeated"]) == ("finished", True)
        await states.wait(lambda message: message.json["fault"] is None)


async def test_damaged_database_is_only_a_fault(broker, lightning):
    async with house_of(broker, lightning) as house:
        await house.leave()
        (house.folder / FILE).write_bytes(b"no database" * 1000)
        states = await house.client.collect("edgevoice/kitchen/state")
        await house.again()
        await states.wait(lambda message: "damaged" in (message.json["fault"] or ""))
        await house.said("d50z All the same.", urgency="critical")
        await states.wait(lambda message: message.json["fault"] is None)


def fill(file):
    with file.open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(512)):
            pass
