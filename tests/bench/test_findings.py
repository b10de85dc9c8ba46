"""The formats of a run: JSON, a table, a picture."""

import xml.etree.ElementTree as ET

import msgspec
import pytest

from bench.figures.findings import Finding, Run, decode_run, encode_run
from bench.figures.picture import LEFT, RIGHT, marks, picture, x_of
from bench.figures.statistics import Figure
from bench.figures.table import format_number, page, table
from bench.report import merge_runs

SVG = "{http://www.w3.org/2000/svg}"
MEASURED = Finding(
    row="latency",
    what="added latency <warm>",
    goal="5 ms",
    unit="ms over ref_ws",
    edgevoice={"http": Figure(1.0, 2.0, 40), "websocket": Figure(-0.25, 0.5, 40)},
    references={"ref_sse": Figure(0.5, 1.0, 40)},
    peers={"slow": Figure(150.0, 160.0, 10), "quick": Figure(4.0, 9.0, 10)},
    met=True,
    drawn={"edgevoice": 2.0, "quick": 4.0, "slow": 2000.0, "ref_ws": 1.0},
)
ABSENT = Finding(row="cached", what="a cached phrase", goal="5 ms", unit="ms", note="not available: no cache")


def run(*findings):
    return Run(
        date="2026-11-22 13:00 UTC",
        mode="quick",
        command="bench/run",
        method="On the loopback.",
        machine={"processor": "A & B", "cores": "2"},
        versions={"edgevoice": "0.1.0"},
        left_out={"livekit": "not installed"},
        findings=list(findings),
        samples={"latency": {"http": [1.0, None]}},
    )


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_saved_run_round_trip():
    assert decode_run(encode_run(run(MEASURED, ABSENT))) == run(MEASURED, ABSENT)
    with pytest.raises(msgspec.ValidationError):
        decode_run(b'{"date": 1}')


def test_table_has_every_finding_and_column():
    head, rule, first, second = map(cells, table([MEASURED, ABSENT]).splitlines())
    assert len(head) == len(rule) == len(first) == len(second) == 7
    assert first[2] == "http 1.00 / 2.00 (n=40); websocket -0.25 / 0.50 (n=40); ms over ref_ws"
    assert first[4:] == ["quick 4.00 / 9.00 (n=10)", "slow 150 / 160 (n=10)", "yes"]
    assert second[2].startswith("not available: no cache")
    assert second[6] == "not told"


def test_best_peer_where_more_is_better():
    shares = {"silent": Figure(6.0, 6.0, 1), "loud": Figure(90.0, 90.0, 1)}
    missing = {"edgevoice": 1.0, "silent": 94.0, "loud": 10.0}
    found = cells(table([msgspec.structs.replace(MEASURED, peers=shares, drawn=missing)]).splitlines()[2])
    assert found[4:6] == ["loud 90.0", "silent 6.00"]


def test_missed_goal_is_highlighted():
    missed = msgspec.structs.replace(MEASURED, met=False)
    assert "**no**" in table([missed])


def test_page_has_date_options_and_missing_peers():
    said = page(run(MEASURED))
    for words in (
        "2026-11-22 13:00 UTC",
        "On the loopback.",
        "A & B",
        "edgevoice 0.1.0",
        "livekit: not installed",
    ):
        assert words in said


def test_numbers_have_three_significant_digits():
    assert [format_number(value) for value in (0.004, -1.234, 12.34, 234.5)] == [
        "0.00",
        "-1.23",
        "12.3",
        "234",
    ]


def test_picture_marks_every_peer():
    root = ET.fromstring(picture(run(MEASURED, ABSENT)))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f"{SVG}circle")) == 3
    assert "slow 1000.0 times" in root.findtext(f"{SVG}desc", "")
    words = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    assert "added latency <warm>" in words
    assert "2026-11-22 13:00 UTC" in words
    assert "a cached phrase" not in words


def test_picture_has_dark_colours():
    assert "prefers-color-scheme: dark" in picture(run(MEASURED))


def test_ratios_stay_on_the_axis():
    assert [(mark.name, mark.ratio) for mark in marks(MEASURED)] == [
        ("ref_ws", 0.5),
        ("quick", 2.0),
        ("slow", 1000.0),
    ]
    assert marks(ABSENT) == []
    assert x_of(0) == LEFT
    assert x_of(1e9) == pytest.approx(RIGHT)
    assert x_of(2) - x_of(1) == pytest.approx(x_of(4) - x_of(2))


def test_ratio_of_zero():
    assert marks(msgspec.structs.replace(MEASURED, drawn={"edgevoice": 0.0, "other": 1.0}))


def test_later_run_replaces_rows():
    later = msgspec.structs.replace(
        run(msgspec.structs.replace(MEASURED, row="cached", what="a cached phrase, measured", note="")),
        date="2026-11-23 09:00 UTC",
        samples={"cached": {"edgevoice": [2.0]}},
    )
    both = merge_runs([run(MEASURED, ABSENT), later])
    assert [finding.what for finding in both.findings] == [
        "added latency <warm>",
        "a cached phrase, measured",
    ]
    assert both.findings[1].note == "2026-11-23 09:00 UTC"
    assert set(both.samples) == {"latency", "cached"}
    assert both.date == "2026-11-22 13:00 UTC"
