"""The cache never holds more than it may; what was used lately stays, and phrases stay longest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.cache.cache import DAY_S, Index
from edgevoice.config.options import MAX_CLIP_BYTES, max_clip_bytes

KB = 1000


def index_of(*names, limit=1000 * KB, size=100 * KB, days=30):
    index = Index(limit, days * DAY_S)
    for second, name in enumerate(names):
        index.add(name, size, float(second))
    return index


def test_the_least_recently_used_goes_first():
    index = index_of("a", "b", "c", "d", limit=400 * KB)
    index.use("a", 10.0)
    assert index.make_room(150 * KB) == ["b", "c"]
    assert "a" in index
    assert "b" not in index
    assert index.size == 200 * KB


def test_nothing_goes_while_there_is_room():
    assert index_of("a", "b").make_room(100 * KB) == []


@pytest.mark.parametrize("limit", [2 * MAX_CLIP_BYTES, 100 * MAX_CLIP_BYTES, 100 * KB])
def test_a_clip_that_would_take_too_much_is_not_kept_and_drives_nothing_out(limit):
    index = index_of("a", limit=limit, size=50 * KB)
    assert index.make_room(max_clip_bytes(limit) + 1) is None
    assert "a" in index
    assert index.make_room(max_clip_bytes(limit)) is not None


def test_phrases_do_not_make_room_for_others():
    index = index_of("phrase", "a", "b", limit=300 * KB)
    index.pinned = frozenset({"phrase"})
    assert index.make_room(150 * KB) == ["a", "b"]
    index.add("c", 150 * KB, 10.0)
    index.pinned = frozenset({"phrase", "c"})
    assert index.make_room(150 * KB) is None
    assert len(index) == 2


def test_what_was_not_used_for_too_long_goes_but_phrases_stay():
    index = index_of("phrase", "old", "used", "new", days=2)
    index.pinned = frozenset({"phrase"})
    index.use("used", DAY_S)
    assert index.expired(2 * DAY_S + 2.5) == ["old"]
    assert index.expired(2 * DAY_S + 3.5) == ["new"]
    assert index.expired(90 * DAY_S) == ["used"]
    assert "phrase" in index


def test_a_clock_that_was_set_back_makes_nothing_old():
    index = index_of()
    index.load({"a": (KB, 1e9), "b": (KB, 5.0)})
    assert index.expired(100.0) == []


def test_a_lower_limit_drives_out_others_before_phrases():
    index = Index(250 * KB, 30 * DAY_S)
    index.load({name: (100 * KB, float(age)) for age, name in enumerate(("phrase", "a", "b", "c", "more"))})
    index.pinned = frozenset({"phrase", "more"})
    assert index.expired(10.0) == ["a", "b", "c"]
    index.load({"least": (100 * KB, 0.0)})
    index.pinned = frozenset({"phrase", "more", "least"})
    assert index.expired(10.0) == ["phrase"]
    assert index.size == 200 * KB


def test_what_lies_on_the_disk_goes_by_its_last_use():
    index = Index(300 * KB, 30 * DAY_S)
    index.load({"b": (100 * KB, 2.0), "a": (100 * KB, 1.0), "c": (100 * KB, 3.0)})
    assert index.make_room(100 * KB) == ["a"]


def test_a_use_is_noted_on_the_disk_once_a_day_at_most():
    index = Index(1000 * KB, 30 * DAY_S)
    index.load({"a": (KB, 0.0)})
    noted = [index.use("a", hour * 3600.0) for hour in range(24 * 4)]
    assert sum(noted) == 3
    assert not index.use("unknown", 0.0)


def test_cleared_it_holds_nothing():
    index = index_of("a", "b")
    index.pinned = frozenset({"a"})
    assert index.clear() == ["a", "b"]
    assert (len(index), index.size) == (0, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 400 * KB), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_whatever_comes_the_limit_holds_and_sizes_agree(steps, pinned):
    index, there = Index(1000 * KB, 30 * DAY_S), {}
    index.pinned = frozenset(pinned)
    for now, (name, size, use) in enumerate(steps):
        if use or name in index:
            index.use(name, float(now))
        elif (gone := index.make_room(size)) is not None:
            assert not pinned & set(gone)
            there = {kept: bytes_ for kept, bytes_ in there.items() if kept not in gone}
            index.add(name, size, float(now))
            there[name] = size
        assert index.size == sum(there.values()) <= 1000 * KB
        assert {name for name in "abcdefgh" if name in index} == set(there)
