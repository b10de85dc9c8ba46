"""A sound begins as soon as it will not run dry, in virtual time: what is asserted here is what would be heard."""

import asyncio

import pytest

from edgevoice.announcement import Urgency
from edgevoice.audio.jitter_buffer import (
    MAX_BUFFER_S,
    MAX_START_DELAY_S,
    ArrivalTrace,
    JitterStats,
    rebuffer_s,
    target_buffer_s,
)
from edgevoice.text.live import LiveText
from tests.support import virtual_time
from tests.support.stutter import JITTER, STALLS, STEADY, TIGHT, TRANSPORT, Room, Row, Server, heard, simple

STUTTERS = [(0.1, 0.08), (0.5, 0.08), (0.52, 0.08), (0.54, 0.08), (0.9, 0.08), (0.92, 0.08), (0.94, 0.08)]


def in_a_room(*heard):
    """The ears of several announcements, one after the other; each is its pieces, or pieces and keys."""

    async def main():
        room = Room()
        calls = [one if isinstance(one, tuple) else (one, {}) for one in heard]
        return [await room.hears(pieces, **keys) for pieces, keys in calls]

    return virtual_time.run(main())


@pytest.mark.parametrize("server", [JITTER, TIGHT], ids=["jitter", "tight"])
def test_over_fifty_announcements_a_quarter_of_the_silence_is_left_for_a_tenth_of_a_second(server):
    row = heard(server)
    assert row.silence <= row.simple().silence / 4
    assert row.delay() <= 0.1
    assert row.delay(0.5) <= 0.1


@pytest.mark.parametrize(
    "server", [JITTER, TIGHT, STALLS, STEADY], ids=["jitter", "tight", "stalls", "steady"]
)
def test_not_worse_than_a_fixed_prebuffer_of_the_same_start(server):
    row = heard(server)
    known = Row(row.ears[1:], row.pieces[1:])  # without the first announcement, of which nothing was known
    fixed = known.simple(known.delay())
    # The refilled buffers cost a few milliseconds of 5 s, and save underruns.
    assert known.silence <= 1.05 * fixed.silence + 0.002
    assert known.holes <= fixed.holes


@pytest.mark.parametrize("stalls_at", [(3,), (10,), (5, 20), (4, 9, 30)])
def test_a_stall_is_one_hole_but_for_a_few(stalls_at):
    row = heard(Server(speed=2, jitter=0.02, stalls_at=stalls_at, stall=0.7))

    def with_more(one):
        return sum(len(ear.holes) > len(stalls_at) for ear in one.ears)

    assert any(ear.holes for ear in row.ears)
    assert with_more(row) <= len(row.ears) / 10
    assert with_more(row) < with_more(row.simple(row.delay()))


@pytest.mark.parametrize("speed", [1.05, 1.5, 5])
def test_with_a_steady_server_nothing_is_late_and_nothing_waits(speed):
    row = heard(Server(speed=speed), seeds=range(40))
    assert row.holes == row.delay(1) == 0


def test_an_hour_of_announcements_from_a_steady_server_has_no_hole():
    row = heard(STEADY, seeds=range(720))
    assert row.holes == row.delay(1) == 0


@pytest.mark.parametrize("seconds", [0.4, 1.0])
def test_short_announcements_are_learned_from_too(seconds):
    row = heard(JITTER, seconds, seeds=range(1, 151))
    assert row.silence <= row.simple().silence / 2
    assert row.delay() <= 0.1


def test_a_server_that_is_too_slow_makes_few_long_holes_and_not_many_short_ones():
    slow = Server(speed=0.9, jitter=0.01)
    row = heard(slow, seeds=range(20))
    assert row.holes < row.simple().holes / 10
    assert row.delay(1) <= MAX_BUFFER_S
    assert len(row.ears[0].holes) < len(simple(slow.pieces(0, 5.0)).holes) / 4


def test_the_first_announcement_begins_with_its_first_piece_and_the_next_knows_better():
    first, second = in_a_room(STUTTERS, STUTTERS)
    assert first.delay == 0
    assert first.holes
    assert second.delay > 0
    assert second.silence < first.silence


def test_critical_never_waits():
    _, critical = in_a_room(STUTTERS, (STUTTERS, {"urgency": Urgency.CRITICAL}))
    assert critical.delay == 0


def test_a_clip_that_is_complete_never_waits():
    _, complete = in_a_room(STUTTERS, [(0.1, 0.08), (0.1, 0.08)])
    assert complete.delay == 0


def test_live_text_neither_teaches_nor_waits():
    live = {"live": LiveText()}
    before, after = in_a_room((STUTTERS, live), STUTTERS)
    assert before.delay == after.delay == 0
    _, late = in_a_room(STUTTERS, (STUTTERS, live))
    assert late.delay == 0


def test_single_late_response_is_an_outlier():
    steady = STEADY.pieces(1, 2.0)
    *_, last = in_a_room(steady, STUTTERS, steady, steady)
    assert last.delay == 0


def test_old_traces_are_forgotten():
    steady = STEADY.pieces(1, 2.0)
    ears = in_a_room(STUTTERS, STUTTERS, *[steady] * 17)
    assert ears[2].delay > 0
    assert ears[-1].delay == 0


def test_while_a_chime_sounds_the_clip_gets_ahead():
    _, chimed = in_a_room(STUTTERS, (STUTTERS, {"chime": 1.0}))
    assert chimed.holes == []


def trace_of(*lateness_s, seconds=0.08):
    """A trace whose pieces are late by this much."""
    trace, due = ArrivalTrace(), 0.0
    for late_s in lateness_s:
        trace.add(due + late_s, seconds)
        due += seconds
    return trace


def test_transports_are_independent():
    jitter = JitterStats()
    jitter.learn(TRANSPORT, trace_of(0.0, 0.2, 0.0))
    assert jitter.target_s(TRANSPORT) > 0
    assert jitter.target_s("http") == jitter.target_s(None) == 0


def test_single_chunk_gives_no_estimate():
    async def main():
        jitter = JitterStats()

        async def one():
            yield bytes(100)

        async for _ in jitter.observe(TRANSPORT, one(), 24000, learns=True):
            pass
        return jitter.target_s(TRANSPORT)

    assert asyncio.run(main()) == 0


def test_slow_reader_does_not_make_pieces_late():
    async def main():
        jitter = JitterStats()

        async def two():
            yield bytes(100)
            yield bytes(100)

        async for _ in jitter.observe(TRANSPORT, two(), 24000, learns=True):
            await asyncio.sleep(5)
        return jitter.target_s(TRANSPORT)

    assert virtual_time.run(main()) == 0


def test_target_is_a_percentile_that_costs_little():
    assert target_buffer_s([]) == 0
    assert target_buffer_s([trace_of(0.0, 0.0, 0.0)]) == 0
    rare = trace_of(0.0, 0.4, *[0.0] * 50)
    assert target_buffer_s([rare]) == pytest.approx(MAX_START_DELAY_S * rare.speed)
    slight = trace_of(0.0, 0.05, *[0.0] * 50)
    assert target_buffer_s([slight]) == pytest.approx(0.05)
    assert target_buffer_s([trace_of(0.0, *[0.0] * 50, 0.3)]) == pytest.approx(0.3)  # most starts are late
    assert target_buffer_s([trace_of(0.0, *[0.0] * 50, 9.0)]) == MAX_BUFFER_S


def test_the_worst_of_several_responses_is_an_outlier():
    steady, late = trace_of(0.0, 0.0), trace_of(0.0, 0.3)
    assert target_buffer_s([late]) > 0
    assert target_buffer_s([steady, late, steady]) == 0


def test_rebuffering_grows_with_the_underruns():
    seconds = [rebuffer_s(underruns) for underruns in (1, 3, 4, 5, 30)]
    assert seconds == [0.025, 0.025, 0.05, 0.1, MAX_BUFFER_S]
