"""Where a text is cut, and that nothing of it is ever lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.text.sentences import first_sentence, sentence_ends, split
from tests.support.examples import examples


def sentences(text, **how):
    ends = sentence_ends(text, **how)
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_a_sentence_ends_at_its_mark_and_the_quotes_behind_it():
    assert sentences('Go. "Stop!" Why? (Yes.) Well… End.') == [
        "Go.",
        ' "Stop!"',
        " Why?",
        " (Yes.)",
        " Well…",
        " End.",
    ]


def test_a_new_line_ends_a_sentence():
    assert sentences("One\n\nTwo.") == ["One\n\n", "Two."]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith",
        "Mr. J. Smith",
        "e.g. this",
        "at 5 p.m. sharp",
        "z.B. hier",
        "3.5 degrees",
        "see example.org now",
        "St. Pauli",
    ],
)
def test_an_abbreviation_or_a_number_ends_none(text):
    assert sentences(f"{text} is here. Yes.") == [f"{text} is here.", " Yes."]


def test_cjk_sentences_need_no_space_behind_them():
    assert sentences("你好。今天天气很好！「走吧。」好吗？") == [
        "你好。",
        "今天天气很好！",
        "「走吧。」",
        "好吗？",
    ]


def test_a_full_stop_at_the_end_of_an_unfinished_text_may_go_on():
    assert sentences("It is 3.", complete=False) == []
    assert sentences("It is 3.", complete=True) == ["It is 3."]
    assert sentences("Is it? ", complete=False) == ["Is it?"]


def test_a_long_text_is_cut_at_the_last_sentence_end_that_fits():
    assert split("One is here. Two is here. Three is here.", 30) == [
        "One is here. Two is here. ",
        "Three is here.",
    ]


def test_a_long_sentence_is_cut_at_a_clause_and_else_at_a_space_and_else_anywhere():
    assert split("first of all, then the rest of it", 20) == ["first of all, ", "then the rest of it"]
    assert split("first of all then the rest of it", 20) == ["first of all then ", "the rest of it"]
    assert split("x" * 45, 20) == ["x" * 20, "x" * 20, "x" * 5]
    assert split("一，" + "二" * 30, 20)[0] == "一，" + "二" * 18


def test_an_early_sentence_end_does_not_make_a_tiny_part_where_a_clause_would_do():
    assert split("Yes. " + "a" * 60 + ", " + "b" * 60, 100)[0] == "Yes. " + "a" * 60 + ", "


WORDS = st.sampled_from(
    [
        "Dr.",
        "one",
        "two,",
        "end.",
        "Why?",
        "\n",
        "  ",
        "3.5",
        "你好。",
        "！",
        "x" * 30,
        "«a.»",
        "…",
        "é\u0301",
        "🔥",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=400),
    st.lists(WORDS, max_size=60).map(" ".join),
    st.lists(WORDS, max_size=60).map("".join),
)


@examples(400)
@given(text=TEXTS, most=st.integers(20, 260))
def test_the_parts_joined_are_the_text_and_none_says_more_than_allowed(text, most):
    parts = split(text, most)
    assert "".join(parts) == text
    for part in parts:
        assert len(part.strip()) <= most
    assert all(part.strip() for part in parts[1:])


@examples(300)
@given(text=TEXTS, most=st.integers(20, 260), ended=st.booleans())
def test_the_first_sentence_lies_within_the_text_and_the_limit(text, most, ended):
    end = first_sentence(text, most, ended=ended)
    assert 0 <= end <= min(len(text), most)
    assert not end or text[:end].strip() or len(text) > most
    if (ended and text.strip()) or len(text) > most:
        assert end > 0


@pytest.mark.parametrize(
    "text", ["a" * 4000 + "b. " * 1300, "." * 8000 + "a", '."' * 4000 + "a", "a." * 4000, "\n" * 8000]
)
@pytest.mark.timeout(20)
def test_no_text_takes_more_than_a_moment(text):
    # Quadratic cutting would run into the time limit of the test.
    for _ in range(20):
        assert "".join(split(text, 250)) == text
        first_sentence(text * 20, 250, ended=False)
    assert sentence_ends(text, complete=True) is not None
