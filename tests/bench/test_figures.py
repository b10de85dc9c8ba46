"""What the bench makes of single values: medians, 95th percentiles, paired differences, shares of silence."""

import pytest

from bench.figures.interrupted import Interrupted, later, most_holes_beyond_stalls, share
from bench.figures.sounds import Silence, played
from bench.figures.statistics import Figure, differences, figure, figures, median, paired, quantile


def test_the_median_lies_in_the_middle():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert median([7]) == 7


def test_the_95th_percentile_lies_between_its_neighbours():
    assert quantile(range(101), 0.95) == 95
    assert quantile([0, 10], 0.95) == pytest.approx(9.5)
    assert quantile([5, 5, 5], 0.95) == 5


def test_of_no_values_there_is_no_figure():
    assert figure([]) is None
    assert figures({"one": [1.0, None, 3.0], "none": [None]}) == {"one": Figure(2.0, 2.9, 2)}
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_differences_are_taken_within_a_round():
    assert paired([5, None, 7, 9], [1, 2, None, 4]) == [4, 5]
    assert differences({"own": [11.0, 22.0], "late": [None, 23.0]}, [10.0, 20.0]) == {
        "own": Figure(1.5, 1.95, 2),
        "late": Figure(3.0, 3.0, 1),
    }
    assert differences({"first run only": [11.0]}, [10.0, 20.0]) == {"first run only": Figure(1.0, 1.0, 1)}


def test_columns_of_unequal_length_are_no_pairs():
    with pytest.raises(ValueError, match="zip"):
        paired([1, 2], [1])


CHUNKS = ((10.0, 0.1), (10.05, 0.1), (10.5, 0.1), (10.55, 0.1))
"""The third comes 300 ms after the sound of the first two is over."""


def test_a_player_without_prebuffer_is_silent_until_the_next_chunk():
    silence = played(CHUNKS, 0.0)
    assert silence.holes == 1
    assert silence.seconds == pytest.approx(0.3)


def test_a_prebuffer_shortens_the_hole_by_as_much_as_it_starts_later():
    assert played(CHUNKS, 0.2).seconds == pytest.approx(0.1)
    assert played(CHUNKS, 0.3) == Silence(0, 0.0)


def test_a_share_is_all_silence_over_all_that_the_computed_player_has():
    messages = [Interrupted(Silence(1, 0.06), 0.1, CHUNKS), Interrupted(Silence(0, 0.0), 0.2, CHUNKS)]
    assert share(messages, fixed=False).median == pytest.approx(0.1)
    assert share(messages, fixed=True).median == pytest.approx(0.2)
    assert later(messages) == Figure(150.0, 195.0, 2)


def test_silence_where_the_computed_player_has_none_is_no_division_by_zero():
    steady = ((0.0, 1.0), (0.5, 1.0))
    assert share([Interrupted(Silence(0, 0.0), 0.0, steady)], fixed=False).median == 0
    assert share([Interrupted(Silence(1, 0.1), 0.0, steady)], fixed=False).median > 1


def test_holes_are_counted_against_the_stalls_of_the_server():
    stalled = Interrupted(Silence(2, 0.3), 0.0, CHUNKS, stall=0.4)
    assert stalled.stalls == 1
    assert most_holes_beyond_stalls([stalled, Interrupted(Silence(1, 0.1), 0.0, CHUNKS, stall=0.4)]) == 1
