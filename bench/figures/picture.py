"""The picture of a run: how many times EdgeVoice's figure each other one needs, row by row, as SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures.findings import Finding, Run

WIDTH, LEFT, RIGHT, TOP, ROW = 1000, 330, 960, 74, 46
LEAST, MOST = 1 / 4, 128
"""The ends of the axis; what lies beyond stands at its end."""
TICKS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128)
LABEL_PX, LETTER_PX = 12, 6.6
STYLE = """
    text { font-size: 12px; fill: #5c6b80 }
    .title { font-size: 17px; font-weight: 600; fill: #33475f }
    .what { font-size: 13.5px; fill: #33475f; text-anchor: end }
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


class Mark(NamedTuple):
    """One contestant in one row: `ratio` of its figure to EdgeVoice's."""

    name: str
    ratio: float

    @property
    def is_reference(self) -> bool:
        return self.name.startswith("ref_")


def marks(finding: Finding) -> list[Mark]:
    """All but EdgeVoice, the least first; none where EdgeVoice's own figure is not known."""
    own = finding.drawn.get("edgevoice")
    if own is None:
        return []
    own = max(own, 1e-3)
    ratios = [Mark(name, value / own) for name, value in finding.drawn.items() if name != "edgevoice"]
    return sorted(ratios, key=lambda mark: mark.ratio)


def place(ratio: float) -> float:
    """Where a ratio stands on the axis, which is logarithmic."""
    kept = min(max(ratio, LEAST), MOST)
    return LEFT + (RIGHT - LEFT) * math.log(kept / LEAST) / math.log(MOST / LEAST)


def picture(run: Run) -> str:
    """The SVG, legible on light and on dark ground; the rows that have something to compare."""
    rows = [(finding, found) for finding in run.findings if (found := marks(finding))]
    height = TOP + ROW * len(rows) + 66
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
        parts += _row(finding.what, found, TOP + ROW * number + ROW // 2)
    parts += _foot(run, TOP + ROW * len(rows) + 40)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _told(rows: Sequence[tuple[Finding, list[Mark]]]) -> str:
    lines = []
    for finding, found in rows:
        each = ", ".join(f"{mark.name} {mark.ratio:.1f} times" for mark in found)
        lines.append(f"{finding.what}: {each}.")
    return " ".join(lines)


def _axis(bottom: int) -> list[str]:
    lines = []
    for tick in TICKS:
        x = place(tick)
        kind = "own" if tick == 1 else "grid"
        lines.append(f'<path class="{kind}" d="M{x:.1f} {TOP}V{bottom}"/>')
        if tick == 1:
            lines.append(f'<text class="own-name" x="{x:.1f}" y="{TOP - 10}">EdgeVoice</text>')
        else:
            text = f"{tick:g}&#215;" if tick > 1 else f"1/{1 / tick:g}"
            lines.append(f'<text class="tick" x="{x:.1f}" y="{TOP - 10}">{text}</text>')
    return lines


def _row(what: str, found: Sequence[Mark], y: int) -> list[str]:
    lines = [f'<text class="what" x="{LEFT - 16}" y="{y + 4}">{escape(what)}</text>']
    ends = {True: -math.inf, False: -math.inf}
    above = True
    for mark in found:
        x = place(mark.ratio)
        kind = "reference" if mark.is_reference else "peer"
        lines.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="4.5"/>')
        half = len(mark.name) * LETTER_PX / 2 - 2
        above = x - half > ends[True] or x - half <= ends[False]
        if x - half > ends[above]:  # a name that would lie on another is left to the description
            at = y - 8 if above else y + LABEL_PX + 6
            lines.append(
                f'<text x="{x:.1f}" y="{at}" text-anchor="middle" font-size="11">{escape(mark.name)}</text>'
            )
            ends[above] = x + half + 3
    return lines


def _foot(run: Run, y: int) -> list[str]:
    machine = f"{run.machine.get('processor', '')}, {run.machine.get('cores', '')} cores, loopback"
    first = "Medians of one run, interleaved; to the right EdgeVoice needs less. Beyond the axis: at its end."
    second = (
        f"{run.date}, {run.mode} run on {machine}; method: bench/README.md. Rings are references, not peers."
    )
    return [
        f'<text x="24" y="{y}">{escape(first)}</text>',
        f'<text x="24" y="{y + 17}">{escape(second)}</text>',
    ]
