"""Where a text is cut, and that nothing of it is ever lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.text.sentences import first_sentence, sentence_ends, split
from tests.support.examples import examples


def sentences(text, **how):
    ends = sentence_ends(text, **how)
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_end_includes_quotes():
    assert sentences('Go. "Stop!" Why? (Yes.) Well… End.') == [
        "Go.",
        ' "Stop!"',
        " Why?",
        " (Yes.)",
        " Well…",
        " End.",
    ]


def test_line_break_is_an_end():
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
def test_abbreviation_or_number_is_no_end(text):
    assert sentences(f"{text} is here. Yes.") == [f"{text} is here.", " Yes."]


def test_cjk_needs_no_space():
    assert sentences("你好。今天天气很好！「走吧。」好吗？") == [
        "你好。",
        "今天天气很好！",
        "「走吧。」",
        "好吗？",
    ]


def test_full_stop_of_incomplete_text_is_no_end():
    assert sentences("It is 3.", complete=False) == []
    assert sentences("It is 3.", complete=True) == ["It is 3."]
    assert sentences("Is it? ", complete=False) == ["Is it?"]


def test_split_at_last_sentence_end():
    assert split("One is here. Two is here. Three is here.", 30) == [
        "One is here. Two is here. ",
        "Three is here.",
    ]


def test_split_at_clause_or_space_or_anywhere():
    assert split("first of all, then the rest of it", 20) == ["first of all, ", "then the rest of it"]
    assert split("first of all then the rest of it", 20) == ["first of all then ", "the rest of it"]
    assert split("x" * 45, 20) == ["x" * 20, "x" * 20, "x" * 5]
    assert split("一，" + "二" * 30, 20)[0] == "一，" + "二" * 18


def test_split_prefers_clause_to_tiny_part():
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
def test_split_joined_is_the_text(text, most):
    parts = split(text, most)
    assert "".join(parts) == text
    for part in parts:
        assert len(part.strip()) <= most
    assert all(part.strip() for part in parts[1:])


@examples(300)
@given(text=TEXTS, most=st.integers(20, 260), ended=st.booleans())
def test_first_sentence_is_bounded(text, most, ended):
    end = first_sentence(text, most, ended=ended)
    assert 0 <= end <= min(len(text), most)
    assert not end or text[:end].strip() or len(text) > most
    if (ended and text.strip()) or len(text) > most:
        assert end > 0


@pytest.mark.parametrize(
    "text", ["a" * 4000 + "b. " * 1300, "." * 8000 + "a", '."' * 4000 + "a", "a." * 4000, "\n" * 8000]
)
@pytest.mark.timeout(20)
def test_split_is_linear(text):
    # Quadratic cutting would run into the time limit of the test.
    for _ in range(20):
        assert "".join(split(text, 250)) == text
        first_sentence(text * 20, 250, ended=False)
    assert sentence_ends(text, complete=True) is not None
