"""The bench's statistics: medians, 95th percentiles, paired differences, shares of silence."""

import pytest

from bench.figures.sounds import Silence, simulate_player
from bench.figures.statistics import (
    Figure,
    describe_lost,
    differences,
    figure,
    figures,
    is_reached,
    median,
    paired,
    quantile,
)
from bench.figures.streamed_message import (
    StreamedMessage,
    max_holes_beyond_stalls,
    silence_ratio,
    start_delay_ms,
)
from bench.rows import cut_in, flood, memory
from bench.rows.cut_in import Interruptions
from bench.rows.flood import outcomes_of
from bench.session import BenchSession


def test_median():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert median([7]) == 7


def test_95th_percentile_is_interpolated():
    assert quantile(range(101), 0.95) == 95
    assert quantile([0, 10], 0.95) == pytest.approx(9.5)
    assert quantile([5, 5, 5], 0.95) == 5


def test_statistics_of_no_values_are_none():
    assert figure([]) is None
    assert figures({"one": [1.0, None, 3.0], "none": [None]}) == {"one": Figure(2.0, 2.9, 2)}
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_differences_are_paired_by_round():
    assert paired([5, None, 7, 9], [1, 2, None, 4]) == [4, 5]
    assert differences({"own": [11.0, 22.0], "late": [None, 23.0]}, [10.0, 20.0]) == {
        "own": Figure(1.5, 1.95, 2),
        "late": Figure(3.0, 3.0, 1),
    }
    assert differences({"first run only": [11.0]}, [10.0, 20.0]) == {"first run only": Figure(1.0, 1.0, 1)}


def test_unequal_columns_are_not_paired():
    with pytest.raises(ValueError, match="zip"):
        paired([1, 2], [1])


#: The third comes 300 ms after the sound of the first two is over.
CHUNKS = ((10.0, 0.1), (10.05, 0.1), (10.5, 0.1), (10.55, 0.1))


def test_computed_player_without_prebuffer():
    silence = simulate_player(CHUNKS, 0.0)
    assert silence.holes == 1
    assert silence.seconds == pytest.approx(0.3)


def test_computed_player_with_prebuffer():
    assert simulate_player(CHUNKS, 0.2).seconds == pytest.approx(0.1)
    assert simulate_player(CHUNKS, 0.3) == Silence(0, 0.0)


def test_silence_share_is_relative_to_the_computed_player():
    messages = [StreamedMessage(Silence(1, 0.06), 0.1, CHUNKS), StreamedMessage(Silence(0, 0.0), 0.2, CHUNKS)]
    assert silence_ratio(messages, fixed=False).median == pytest.approx(0.1)
    assert silence_ratio(messages, fixed=True).median == pytest.approx(0.2)
    assert start_delay_ms(messages) == Figure(150.0, 195.0, 2)


def test_silence_share_without_computed_silence():
    steady = ((0.0, 1.0), (0.5, 1.0))
    assert silence_ratio([StreamedMessage(Silence(0, 0.0), 0.0, steady)], fixed=False).median == 0
    assert silence_ratio([StreamedMessage(Silence(1, 0.1), 0.0, steady)], fixed=False).median > 1


def test_gaps_are_relative_to_server_stalls():
    stalled = StreamedMessage(Silence(2, 0.3), 0.0, CHUNKS, stall=0.4)
    assert stalled.stalls == 1
    assert max_holes_beyond_stalls([stalled, StreamedMessage(Silence(1, 0.1), 0.0, CHUNKS, stall=0.4)]) == 1


def quick(found):
    return found.median < 10


def test_goal_needs_every_round():
    assert is_reached({"alone": [1.0, 2.0], "behind": [3.0]}, quick) is True
    assert is_reached({"alone": [1.0, 2.0], "behind": [30.0]}, quick) is False
    assert is_reached({"alone": [1.0, None], "behind": [3.0]}, quick) is None
    assert is_reached({"alone": [1.0, None], "behind": [30.0]}, quick) is False
    assert is_reached({"alone": [1.0], "behind": []}, quick) is None
    assert is_reached({"alone": [None]}, quick) is None
    assert is_reached({}, quick) is None


def test_lost_rounds_are_reported():
    assert describe_lost({"alone": [1.0, None, None], "behind": [3.0]}) == "alone 2 of 3"
    assert describe_lost({"alone": [1.0]}) == ""


def test_unheard_urgent_message_is_reported():
    session = BenchSession("quick", ())
    heard, lost_one = Interruptions([4.0, 5.0], [8.0, 9.0]), Interruptions([4.0], [8.0])
    lost_one.add_lost()
    stop, sound = cut_in._findings(session, heard, lost_one, Interruptions(added=[8.0]), {})
    assert (stop.met, sound.met) == (None, None)
    assert stop.note == "lost: behind 1000 1 of 2"
    stop, sound = cut_in._findings(session, heard, heard, Interruptions(added=[8.0]), {})
    assert (stop.met, stop.note, sound.met) == (True, "", True)
    assert sound.edgevoice["alone"] == Figure(1.062, 1.119, 2)
    stop, sound = cut_in._findings(session, Interruptions(), Interruptions(), Interruptions(), {})
    assert (stop.met, sound.met) == (None, None)


def test_unmeasured_memory_meets_no_goal():
    assert memory._finding({"10 minutes": [1.0]}, [10]).met is True
    assert memory._finding({"10 minutes": [4.0]}, [10]).met is False
    assert memory._finding({"10 minutes": [1.0], "60 minutes": [None]}, [10, 60]).met is None
    assert memory._finding({"10 minutes": [None]}, [10]).met is None


def test_repeated_outcome_is_counted_and_old_outcome_is_not():
    told = [("before", "finished"), ("a", "queued"), ("a", "finished"), ("b", "cancelled"), ("b", "failed")]
    events = [{"id": name, "event_type": step} for name, step in told]
    assert outcomes_of(events, {"before"}) == (1, 1)
    figures_of = {"edgevoice": Figure(99.0, 99.0, 1)}
    for once, more, met in ((1000, 0, True), (999, 1, False), (999, 0, False), (1000, 1, False)):
        assert flood._findings(dict(figures_of), dict(figures_of), once, more)[2].met is met
