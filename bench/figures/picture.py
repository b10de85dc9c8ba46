"""The picture of a run as SVG: the ratio of each contestant's figure to EdgeVoice's, row by row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures.findings import Finding, Run

WIDTH, LEFT, RIGHT, TOP, ROW = 1000, 340, 960, 74, 62
#: The ends of the axis; what lies beyond stands at its end.
LEAST, MOST = 1 / 4, 128
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
#: The possible places of a name, under or over its mark.
LANES = (-9, 19, -22, 32)
LETTER_PX = 6.2
STYLE = """
    text { font-size: 12px; fill: #5c6b80 }
    .title { font-size: 17px; font-weight: 600; fill: #33475f }
    .what { font-size: 13.5px; fill: #33475f; text-anchor: end }
    .name { text-anchor: middle; font-size: 11px }
    .band { fill: #2f7d5b; fill-opacity: .13 }
    .tick { text-anchor: middle; font-size: 11px }
    .grid { stroke: #8592a6; stroke-opacity: .22 }
    .own { stroke: #2f7d5b; stroke-width: 2 }
    .own-name { fill: #2f7d5b; font-weight: 600; text-anchor: middle }
    .peer { fill: #5b7db1 } .reference { fill: none; stroke: #8592a6; stroke-width: 1.6 }
    @media (prefers-color-scheme: dark) {
      text { fill: #a9b6c8 } .title, .what { fill: #dbe4f0 } .own { stroke: #6cc79c } .own-name { fill: #6cc79c }
      .peer { fill: #8fb0e0 }
    }
"""


class RatioMark(NamedTuple):
    """A contestant in a row: `ratio` of its figure to EdgeVoice's."""

    name: str
    ratio: float

    @property
    def is_reference(self) -> bool:
        return self.name.startswith("ref_")


def marks(finding: Finding) -> list[RatioMark]:
    """Return the other contestants, smallest ratio first; none if EdgeVoice's own figure is unknown."""
    own = finding.drawn.get("edgevoice")
    if own is None:
        return []
    own = max(own, 1e-3)
    ratios = [RatioMark(name, value / own) for name, value in finding.drawn.items() if name != "edgevoice"]
    return sorted(ratios, key=lambda mark: mark.ratio)


def x_of(ratio: float) -> float:
    """Return the place of a ratio on the logarithmic axis."""
    kept = min(max(ratio, LEAST), MOST)
    return LEFT + (RIGHT - LEFT) * math.log(kept / LEAST) / math.log(MOST / LEAST)


def picture(run: Run) -> str:
    """Return an SVG of the rows that have a peer; it is legible on a light and on a dark background."""
    compared = [(finding, marks(finding)) for finding in run.findings]
    rows = [(finding, found) for finding, found in compared if not all(mark.is_reference for mark in found)]
    height = TOP + ROW * len(rows) + 83
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        '  aria-labelledby="title desc" font-family="system-ui, -apple-system, sans-serif">',
        '<title id="title">What others need, in times of what EdgeVoice needs</title>',
        f'<desc id="desc">{escape(_told(rows))}</desc>',
        f"<style>{STYLE}</style>",
        '<text class="title" x="24" y="30">What others need, in times of what EdgeVoice needs</text>',
        *_axis(TOP + ROW * len(rows)),
    ]
    for number, (finding, found) in enumerate(rows):
        parts += _row(finding, found, TOP + ROW * number + ROW // 2)
    parts += _foot(run, TOP + ROW * len(rows) + 40)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _told(rows: Sequence[tuple[Finding, list[RatioMark]]]) -> str:
    lines = []
    for finding, found in rows:
        each = ", ".join(f"{mark.name} {mark.ratio:.1f} times" for mark in found)
        lines.append(f"{finding.what}: {each}.")
    return " ".join(lines)


def _axis(bottom: int) -> list[str]:
    lines = []
    for tick in TICKS:
        x = x_of(tick)
        kind = "own" if tick == 1 else "grid"
        lines.append(f'<path class="{kind}" d="M{x:.1f} {TOP}V{bottom}"/>')
        if tick == 1:
            lines.append(f'<text class="own-name" x="{x:.1f}" y="{TOP - 10}">EdgeVoice</text>')
        else:
            text = f"{tick:g}&#215;" if tick > 1 else f"1/{1 / tick:g}"
            lines.append(f'<text class="tick" x="{x:.1f}" y="{TOP - 10}">{text}</text>')
    return lines


def _row(finding: Finding, found: Sequence[RatioMark], y: int) -> list[str]:
    lines = [
        f'<text class="what" x="{LEFT - 16}" y="{y + 4}">{escape(finding.what)}</text>',
        *_band(finding, y),
    ]
    ends = dict.fromkeys(LANES, -math.inf)
    for mark in found:
        x = x_of(mark.ratio)
        kind = "reference" if mark.is_reference else "peer"
        lines.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="4.5"/>')
        half = len(mark.name) * LETTER_PX / 2
        lane = next((lane for lane in LANES if x - half > ends[lane]), None)
        if lane is not None:  # a name that has no room is in the description all the same
            lines.append(f'<text class="name" x="{x:.1f}" y="{y + lane}">{escape(mark.name)}</text>')
            ends[lane] = x + half
    return lines


def _band(finding: Finding, y: int) -> list[str]:
    """A difference to EdgeVoice's figure that is within the noise."""
    own = finding.drawn.get("edgevoice", 0.0)
    if not finding.resolution or own <= 0:
        return []
    left, right = (x_of((own + sign * finding.resolution) / own) for sign in (-1, 1))
    return [f'<rect class="band" x="{left:.1f}" y="{y - 7}" width="{right - left:.1f}" height="14" rx="7"/>']


def _foot(run: Run, y: int) -> list[str]:
    machine = f"{run.machine.get('processor', '')}, {run.machine.get('cores', '')} cores, loopback"
    lines = (
        "Medians; who stands to the right needs more. What is beyond the axis stands at its end.",
        "What is within the green band cannot be told from EdgeVoice. Rings are references, no peers.",
        f"{run.date}, {run.mode} run on {machine}; method: bench/README.md",
    )
    return [f'<text x="24" y="{y + 17 * place}">{escape(line)}</text>' for place, line in enumerate(lines)]
