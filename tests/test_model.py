"""The agenda of a speaker against a reference of the contract's rules: whatever happens, in any order."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edgevoice.announcement import DEFAULT_TTL_S, RepeatPolicy, Urgency
from edgevoice.speaker.quiet import DAYS, QuietWindow
from tests.support.agenda import Kitchen
from tests.support.reference import OWN, Item, Reference

NIGHT = QuietWindow(frozenset(range(len(DAYS))), 0, 12 * 60)
LIMIT = 8
SEEDS = (7, 23, 1976, 65_537)
"""One that found a mistake is added, and stays."""
NAMES = [f"n{number}" for number in range(24)]
URGENCIES = st.sampled_from(["low", "normal", "high", "critical", "critical"])
SECONDS = st.sampled_from([0.5, 1.0, 4.0, 5.0, 9.0, 20.0, 20.0, 60.0, 43_200.0, 86_400.0])


def label(name: str) -> str:
    return OWN if name.startswith("edgevoice-") else name


def said_by(reason: str | None) -> str | None:
    return "by own" if reason and reason.startswith("by edgevoice-") else reason


class Speaker(RuleBasedStateMachine):
    """Both are told the same; a cut takes effect at once."""

    @initialize(digest=st.sampled_from(["on_request", "at_end", "off"]))
    def begin(self, digest: str) -> None:
        self.real = Kitchen(queue=LIMIT, digest=digest, quiet_hours=(NIGHT,))
        self.model = Reference(digest=digest, limit=LIMIT)
        self.alarms = 0

    # What may happen

    @rule(
        name=st.sampled_from(NAMES),
        urgency=URGENCIES,
        tag=st.sampled_from([None, None, "a", "b"]),
        text=st.sampled_from([None, None, None, "Fire."]),
        topic=st.sampled_from(["t1", "t2"]),
        ttl=st.sampled_from([5.0, 60.0, 600.0, 600.0]),
        after=st.sampled_from([0.0, 0.0, 0.0, 7.0]),
        resolves=st.sampled_from([False, False, True]),
        rounds=st.sampled_from([None, None, 0, 1, 3]),
    )
    def arrive(self, *, name, urgency, tag, text, topic, ttl, after, resolves, rounds):
        text = text or name
        insists = (
            None if rounds is None else RepeatPolicy(times=rounds or 3, every_s=20, until_ack=rounds == 0)
        )
        self.real.say(
            name,
            urgency,
            tag=tag,
            text=text,
            topic=topic,
            ttl=ttl,
            not_before=after,
            resolves=resolves,
            repeat=insists,
        )
        self.model.arrive(
            Item(name, urgency, self.model.now + after, ttl, tag, text, topic, resolves, rounds, every=20)
        )

    @precondition(lambda self: self.model.said is not None)
    @rule(seconds=st.sampled_from([3.0, 6.0, 6.0]), topic=st.sampled_from(["t1", "t2", "t3"]))
    def an_alarm_comes_after_a_while(self, seconds, topic):
        if not self.model.said.sounds:
            self.sounds()
        self.is_heard(seconds)
        self.settle()
        self.alarms += 1
        name = f"alarm{self.alarms}"
        self.real.say(name, "critical", topic=topic)
        self.model.arrive(Item(name, "critical", self.model.now, 1800.0, text=name, topic=topic))

    @rule(what=st.sampled_from(["", "", "all", "a", *NAMES[:6]]))
    def stop(self, what):
        self.real.stop(what)
        self.model.stop(what)

    @rule(what=st.sampled_from(["", *NAMES[:3]]))
    def acknowledge(self, what):
        self.real.ack(what)
        self.model.acknowledge(what)

    @rule(what=st.sampled_from(["mute", "dnd"]), on=st.booleans())
    def switch(self, what, on):
        self.real.switch(**{what: on})
        setattr(self.model, what, on)
        self.model.settle()

    @rule()
    def day_and_night(self):
        self.real.wall += timedelta(hours=12)
        self.real.wait(0)
        self.model.night = not self.model.night
        self.model.settle()

    @rule()
    def digest(self):
        self.real.digest()
        self.model.read()
        self.model.settle()

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        until = self.model.now + seconds
        while self.model.now < until:
            moment = self.model.next_moment()
            self.model.now = self.real.now = (
                until if moment is None else max(self.model.now, min(moment, until))
            )
            self.settle()
            self.model.settle()

    @precondition(lambda self: self.model.said is not None and not self.model.said.sounds)
    @rule()
    def sounds(self):
        self.real.agenda.floor.sound(self.real.now)
        self.model.sound()

    @precondition(lambda self: self.model.said is not None and self.model.said.sounds)
    @rule(seconds=st.sampled_from([0.5, 3.0, 5.0]))
    def is_heard(self, seconds):
        self.real.hear(seconds)
        self.model.hear(seconds)

    @precondition(lambda self: self.model.said is not None)
    @rule()
    def a_pause_comes(self):
        self.real.agenda.floor.pause(self.real.now)
        self.model.pause_comes()

    @precondition(lambda self: self.model.said is not None and self.model.said.sounds)
    @rule()
    def is_over(self):
        self.real.finish()
        self.model.finish()

    @precondition(lambda self: self.model.said is not None)
    @rule()
    def fails(self):
        self.real.agenda.conclude(self.real.now, failure="broken")
        self.model.fail()

    @rule()
    def the_daemon_is_restarted(self):
        """High and critical ones come back, the rest is lost; the held ones come back, too."""
        back = self.real.restart()
        self.model.restart()
        for name, urgency in back:
            self.real.say(name, urgency)
            self.settle()
            self.model.arrive(Item(name, urgency, self.model.now, DEFAULT_TTL_S[Urgency(urgency)], text=name))

    # What has to hold

    @invariant()
    def they_agree(self):
        self.settle()
        mine, theirs = self.real, self.model
        ended = [
            (label(name), str(step), said_by(reason)) for name, step, reason in mine.told if step.is_outcome
        ]
        note(f"queue {mine.queue}, held {mine.held}, saying {mine.saying}")
        assert Counter(ended) == Counter(theirs.outcomes)
        assert [label(name) for name in mine.queue] == [
            item.name for item in sorted(theirs.waiting, key=lambda i: i.order)
        ]
        assert mine.held == [item.name for item in sorted(theirs.held, key=lambda i: i.seq)]
        assert (mine.saying and label(mine.saying)) == (theirs.said and theirs.said.name)
        moment, wakes = theirs.next_moment(), mine.agenda.next_change()
        assert moment is None or (wakes is not None and wakes <= moment)

    @invariant()
    def each_that_was_accepted_is_kept_or_has_exactly_one_outcome(self):
        accepted = Counter(name for name, step, _ in self.real.told if step == "queued")
        ended = Counter(name for name, step, _ in self.real.told if step.is_outcome)
        ended += Counter(self.real.survived)
        kept = Counter([*self.real.queue, *self.real.held, *([self.real.saying] if self.real.saying else [])])
        assert accepted == ended + kept

    def settle(self) -> None:
        real = self.real
        real.wait(0)
        while real.cut() or (real.saying is None and real.take(heard=None) is not None):
            real.wait(0)


def run(number: int, **how: int) -> None:
    exactly = settings(
        deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True, **how
    )
    run_state_machine_as_test(seed(number)(type("Speaker", (Speaker,), {})), settings=exactly)


@pytest.mark.parametrize("number", SEEDS)
def test_whatever_happens_the_speaker_does_as_the_contract_says(number):
    run(number, max_examples=120, stateful_step_count=50)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_for_ten_thousand_steps_more():
    """With a new seed each time, which belongs in `SEEDS` if it finds anything."""
    number = secrets.randbits(32)
    print("seed", number)
    run(number, max_examples=400, stateful_step_count=100)
