"""Reading YAML: lines are known, and nothing that a file may hold raises anything but ConfigError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice import ConfigError
from edgevoice.config.validation import MAX_FILE_BYTES, parse_yaml, read_yaml
from tests.support.examples import examples

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
MERGE_BOMB = "a0: &a0 {k: v}\n" + "".join(
    f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
WRONG = {
    "no mapping": ("- a\n- b", "must be a mapping"),
    "a word": ("edgevoice", "must be a mapping"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "a tab": ("a:\n\tb: 1", "line 2: invalid YAML"),
    "not closed": ("a: 1\nb: [1, 2\nc: 3", "line 3: invalid YAML"),
    "no value there": ("a: 1\nb: c: d", "line 2: invalid YAML"),
    "given twice": ("a: 1\nb: 2\na: 3", "line 3: a: given twice"),
    "nested and given twice": ("a:\n  b: {c: 1, c: 2}", "line 2: a.b.c: given twice"),
    "given twice in quotes": ("a: 1\n'a': 2", "line 2: a: given twice"),
    "both a number": ("1: 1\n1: 2", "line 2: 1: given twice"),
    "unknown alias": ("a: *b", "line 1: invalid YAML: found undefined alias"),
    "a bomb of aliases": (BOMB, "too many keys and values"),
    "a bomb of merges": (MERGE_BOMB, "too many keys and values"),
    "itself": ("a: &a [*a]", "nested too deeply"),
    "itself by merging": ("a: &a\n  <<: *a", "nested too deeply"),
    "deep brackets": ("[" * 100_000, "nested too deeply"),
    "deep keys": ("".join(f"{' ' * level}a:\n" for level in range(600)), "nested too deeply"),
    "a date": ("a: 2001-01-01", "line 1: a: no option takes a timestamp"),
    "no date": ("a: 2001-99-99", "timestamp"),
    "a set": ("a: !!set {b}", "no option takes a set"),
    "binary": ("a: !!binary YQ==", "no option takes a binary"),
    "pairs": ("a: !!omap [b: 1]", "no option takes a omap"),
    "an object": ("a: !!python/object/apply:os.system ['false']", "no option takes a"),
    "own tag": ("a: !mine b", "no option takes"),
    "no integer": ("x:\n- a: !!int b", "line 2: x[0].a: does not match its tag"),
    "no truth": ("a: !!int", "does not match its tag"),
    "no truth at all": ("a: !!bool b", "does not match its tag"),
    "a huge integer": (f"a: {'9' * 5000}", "does not match its tag"),
    "half a number": ("a: 0b_", "does not match its tag"),
    "a list as a key": ("? [a]\n: b", "line 1: a key must be plain text"),
    "a mapping as a key": ("{a: 1}: b", "a key must be plain text"),
    "no such character": ('a: 1\nb: "\\UFFFFFFFF"', "line 2: invalid YAML"),
    "half a character": ('a: "\\ud800"', "lone surrogate"),
    "half a character as a key": ('"\\ud800": a', "lone surrogate"),
    "a control character": ("a: \x01", "special characters are not allowed"),
    "a merge of nothing": ("<<: 5", "invalid YAML"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_invalid_yaml_reports_its_line(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text)
    assert message in str(caught.value)


def test_all_keys_that_come_twice_are_told():
    with pytest.raises(ConfigError) as caught:
        parse_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\nd: 2001-01-01")
    assert [(mistake.path, mistake.line) for mistake in caught.value.issues] == [
        ("a", 2),
        ("b.c", 3),
        ("d", 4),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "\ufeff"])
def test_an_empty_file_has_no_values(text):
    assert parse_yaml(text).values == {}


def test_line_of_path_or_its_parent():
    document = parse_yaml("a:\n  b:\n  - x\n  - y: 1\n# c\nd: {e: 1}\n")
    assert document.line(("a", "b", 1, "y")) == 4
    assert document.line(("a", "b", 0)) == 3
    assert document.line(("d", "f", "g")) == 6
    assert document.line(("z",)) is None


def test_merges_and_aliases_in_measure_are_understood():
    values = parse_yaml("x: &x {a: 1}\ny: {<<: *x, b: 2}\nz: *x").values
    assert values == {"x": {"a": 1}, "y": {"a": 1, "b": 2}, "z": {"a": 1}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff", "invalid UTF-8 at byte 3"),
        (b"#" * (MAX_FILE_BYTES + 1), "larger than 256 KiB"),
        (b"- a", "must be a mapping"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_its_name(tmp_path, content, message):
    file = tmp_path / "e.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path):
    for file in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_yaml(file)


MARKS = st.sampled_from(
    [*"{}[]:,&*!|>%@`#?-'\" \n\t\\~<=", "a", "1", "0x", "!!int ", "<<: ", "*a", "&a ", "\\u", ": ", "- "]
)


@examples(400)
@given(text=st.one_of(st.text(max_size=80), st.lists(MARKS, max_size=30).map("".join)))
def test_any_text_is_values_or_a_configuration_error(text):
    try:
        assert isinstance(parse_yaml(text).values, dict)
    except ConfigError as error:
        assert all(mistake.message for mistake in error.issues)  # noqa: PT017 - either is right
