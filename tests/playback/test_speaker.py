"""A speaker executes the actions of its scheduler: from an announcement to its one outcome."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from edgevoice.announcement import RepeatPolicy, Urgency
from edgevoice.errors import ClipError, InvalidAnnouncement, OutputError
from edgevoice.faults import Faults
from edgevoice.playback.speaker import Speaker
from edgevoice.scheduler.actions import Admission
from edgevoice.scheduler.policy import SpeakerPolicy, SpeakerSettings
from tests.support import virtual_time
from tests.support.announcements import NoSynthesis
from tests.support.scheduler import announcement

RATE = 24_000


class Synthesis(NoSynthesis):
    """Makes a second of speech for each announcement at once; none for the text "mute"."""

    def fill(self, speech):
        super().fill(speech)
        self.task = asyncio.create_task(self._fill(speech))

    async def _fill(self, speech):
        if speech.text == "mute":
            speech.clip.finish(ClipError("no transport spoke"))
            return
        if not speech.clip.ended:
            await speech.clip.append(b"\1\0" * RATE)
            speech.clip.finish()


class Output:
    """Plays in real time; tells what was heard ten times a second."""

    def __init__(self, lost=False):
        self.lost = lost
        self.played = 0.0

    async def play(self, audio, rate, progress):
        written = heard = 0
        if self.lost:
            raise OutputError("the card is gone")
        async for pcm in audio:
            written += len(pcm) // 2
            progress.written(written)
            while heard < written:
                await asyncio.sleep(0.1)
                heard = min(written, heard + rate // 10)
                progress.played(heard)
                self.played += 0.1


class Told:
    """In place of the recorder: what it was told."""

    def __init__(self):
        self.events, self.states, self.settings = [], [], []

    def on_event(self, event, item):
        assert (event.id, event.speaker) == (item.announcement.id, "kitchen")
        self.events.append(event)

    def on_setting(self, speaker, name, settings):
        self.settings.append((speaker, name, getattr(settings, {"dnd": "dnd_until"}.get(name, name))))

    def on_state(self, speaker, state):
        self.states.append(state)


@asynccontextmanager
async def kitchen(output=None, **policy):
    told, synthesis, escalated = Told(), Synthesis(), []
    now = asyncio.get_running_loop().time
    settings = SpeakerSettings(
        SpeakerPolicy(chimes={}, **policy), 100, lambda: datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    )
    async with Speaker(
        "kitchen",
        output or Output(),
        settings,
        chimes=SimpleNamespace(),
        new_job=synthesis.new_job,
        escalate=escalated.append,
        recorder=told,
        faults=Faults(),
    ) as speaker:
        running = asyncio.create_task(speaker.run())

        def say(text, urgency=Urgency.NORMAL, **more):
            one = announcement(urgency, id=text, text=text, received_monotonic=now(), **more)
            admission = speaker.admission(one)
            speaker.submit(synthesis.new_job(one))
            return admission

        def steps(text):
            return [str(event.event_type) for event in told.events if event.id == text]

        yield SimpleNamespace(
            speaker=speaker, say=say, steps=steps, told=told, synthesis=synthesis, escalated=escalated
        )
        running.cancel()


def test_speaker_plays_in_order_of_urgency():
    async def main():
        async with kitchen() as house:
            for text, urgency in (("a", "low"), ("b", "normal"), ("c", "critical")):
                assert house.say(text, Urgency(urgency)) is Admission.QUEUED
            assert house.say("c", Urgency.CRITICAL) is Admission.DUPLICATE
            await asyncio.sleep(4)
            ended = [event.id for event in house.told.events if event.event_type == "finished"]
            assert ended == ["c", "b", "a"]
            assert house.told.states[-1].state == "idle"
            assert len(house.synthesis.given_up) == 4  # each job is released

    virtual_time.run(main())


def test_a_critical_one_interrupts_and_the_same_text_joins():
    async def main():
        async with kitchen() as house:
            house.say("long")
            await asyncio.sleep(0.5)
            house.say("fire", Urgency.CRITICAL)
            await asyncio.sleep(0.5)
            one = announcement(Urgency.CRITICAL, id="fire2", text="fire", received_monotonic=0.0)
            assert house.speaker.admission(one) is Admission.COALESCED
            house.speaker.submit(house.synthesis.new_job(one))
            assert house.speaker.state.now.id == "fire"
            assert house.steps("long") == ["queued", "started", "interrupted"]
            assert house.steps("fire2") == ["queued", "replaced"]

    virtual_time.run(main())


def test_a_lost_output_is_a_fault_and_one_outcome():
    async def main():
        async with kitchen(Output(lost=True)) as house:
            house.say("a", ttl=5.5)
            await asyncio.sleep(3)
            assert house.speaker.state.state == "fault"
            await asyncio.sleep(10)
            assert house.steps("a") == ["queued", "failed"]
            assert house.told.events[-1].reason == "the card is gone"

    virtual_time.run(main())


def test_an_announcement_that_cannot_be_spoken_fails():
    async def main():
        async with kitchen() as house:
            house.say("mute")
            await asyncio.sleep(1)
            assert house.steps("mute") == ["queued", "failed"]
            assert house.told.events[-1].reason == "no transport spoke"

    virtual_time.run(main())


def test_drain_lets_what_is_playing_end_and_returns_what_waits():
    async def main():
        async with kitchen() as house:
            house.say("said")
            await asyncio.sleep(0.5)
            house.say("waits")
            house.say("private", private=True)
            kept = await house.speaker.drain(5.0)
            assert [one.announcement.id for one in kept] == ["waits"]
            assert house.steps("said") == ["queued", "started", "finished"]
            assert house.steps("private") == ["queued", "failed"]
            assert house.steps("waits") == ["queued"]

    virtual_time.run(main())


@pytest.mark.parametrize(("urgency", "again"), [(Urgency.NORMAL, False), (Urgency.HIGH, True)])
def test_drain_cuts_off_what_takes_too_long_and_keeps_the_urgent(urgency, again):
    async def main():
        async with kitchen() as house:
            house.say("long", urgency)
            await asyncio.sleep(0.5)
            kept = await house.speaker.drain(0.2)
            assert [one.announcement.id for one in kept] == (["long"] if again else [])
            assert house.steps("long") == ["queued", "started", *([] if again else ["failed"])]

    virtual_time.run(main())


def test_an_alert_that_nobody_acknowledges_is_escalated_once():
    async def main():
        async with kitchen() as house:
            policy = RepeatPolicy(times=3, every_s=5.0, escalate_after=2, escalate_to=("attic",))
            house.say("leak", Urgency.HIGH, repeat=policy)
            await asyncio.sleep(4)
            assert house.escalated == []
            await asyncio.sleep(30)
            assert [one.id for one in house.escalated] == ["leak"]
            assert house.steps("leak") == ["queued", *["started"] * 3, "finished"]

    virtual_time.run(main())


def test_stop_and_acknowledge_tell_whether_they_hit():
    async def main():
        async with kitchen() as house:
            assert not house.speaker.stop("")
            assert not house.speaker.acknowledge("")
            house.say("leak", Urgency.HIGH, repeat=RepeatPolicy(until_ack=True))
            assert not house.speaker.stop("other")
            assert house.speaker.acknowledge("leak")
            house.say("a", tag="t")
            assert house.speaker.stop("t")
            # It has finished, so it is no mistake that this comes late; what was stopped has not.
            assert house.speaker.acknowledge("leak")
            assert house.speaker.stop("leak")
            assert not house.speaker.stop("a")

    virtual_time.run(main())


def test_mute_holds_and_a_digest_reads():
    async def main():
        async with kitchen() as house:
            house.speaker.apply_setting("mute", "ON")
            house.say("a")
            assert (house.steps("a"), house.speaker.state.held) == (["queued", "held"], 1)
            house.speaker.read_digest()
            await asyncio.sleep(3)
            assert house.steps("a") == ["queued", "held", "finished"]
            assert house.told.events[-1].reason == "digest"

    virtual_time.run(main())


def test_do_not_disturb_ends_by_itself():
    async def main():
        async with kitchen(digest="off") as house:
            house.speaker.apply_setting("dnd", "5")
            house.say("a")
            await asyncio.sleep(299)
            assert house.speaker.state.dnd
            await asyncio.sleep(3)
            assert house.steps("a")[-1] == "finished"

    virtual_time.run(main())


async def test_settings_are_recorded_when_they_are_set():
    async with kitchen() as house:
        house.speaker.apply_setting("volume", "40")
        house.speaker.apply_setting("mute", "ON")
        with pytest.raises(InvalidAnnouncement):
            house.speaker.apply_setting("dnd", "maybe")
        assert house.told.settings == [("kitchen", "volume", 40), ("kitchen", "mute", True)]
