"""Lines, bands and marks on two axes, written as one small SVG that looks right alone, on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from salus.workflows.pages.drawing import STYLE as PALETTE

WIDTH = 360
LETTER = 6.1  # mean width of a letter of 12 px
LEFT, RIGHT, BELOW = 46, 12, 40
ROW = 17
STYLE = (
    PALETTE
    + """\
:root{--c2:#17663a;--c3:#7a2f8f}
@media (prefers-color-scheme:dark){:root{--c2:#7fd6a0;--c3:#d9a4ea}}
text{font:12px "Liberation Sans",Arial,Helvetica,sans-serif;fill:var(--ink)}
.quiet{fill:var(--quiet)}.name{font-weight:700}.grid{stroke:var(--line);stroke-width:1}
.axis{stroke:var(--quiet);stroke-width:1}.index{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:2 3}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.thin{stroke-width:1;opacity:.75}
.c0{stroke:var(--first)}.c1{stroke:var(--second)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}
.f0{fill:var(--first)}.f1{fill:var(--second)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}
.wide{opacity:.2}.close{opacity:.3}.hollow{fill:var(--ground);stroke-width:1.6}"""
)
DASHES = ("", "7 3", "2 3", "9 3 2 3")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Where values lie on the picture: the ranges of both axes and the rows (pixels) above the plot."""

    first: float
    last: float
    lowest: float
    highest: float
    top: int
    height: int

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return LEFT + (value - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.bottom - (value - self.lowest) / (self.highest - self.lowest) * (self.bottom - self.top)

    @property
    def bottom(self) -> float:
        """Pixels from the top to the horizontal axis."""
        return self.height - BELOW

    def line(self, points: Points, kind: str, dash: str = "") -> str:
        """A line through points."""
        if len(points) < 2:
            return ""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        return f'<polyline class="line {kind}"{dashed} points="{self._path(points)}"/>'

    def band(self, low: Points, high: Points, kind: str) -> str:
        """The area between two lines."""
        return f'<polygon class="{kind}" points="{self._path([*low, *reversed(high)])}"/>'

    def dots(self, points: Points, kind: str, radius: float) -> str:
        """A mark at each point."""
        return "".join(
            f'<circle class="{kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius}"/>'
            for x, y in points
        )

    def upright(self, at: float, kind: str) -> str:
        """A line from the axis to the top."""
        x = f"{self.x(at):.1f}"
        return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{self.top}" y2="{self.bottom:.1f}"/>'

    def _path(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two values, about ``most`` of them.

    >>> ticks(0, 97), ticks(0.2, 0.31, 3)
    ([0.0, 20.0, 40.0, 60.0, 80.0], [0.2, 0.25, 0.3])
    """
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= rough * 0.9999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 10) for n in range(first, math.floor(high / step + 0.01) + 1)]


def tick_word(value: float) -> str:
    """A tick's number, with a real minus sign."""
    return f"{value:,.10g}".replace("-", "−")


def grounds(axes: Axes, *, along: str, percent: bool = False) -> list[str]:
    """Grid, both axes with their numbers, and the name of the horizontal one."""
    drawn = []
    for value in ticks(axes.lowest, axes.highest, 4):
        y = axes.y(value)
        said = f"{tick_word(round(100 * value, 8))} %" if percent else tick_word(value)
        drawn.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>'
        )
    base = f"{axes.bottom:.1f}"
    drawn.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    for value in ticks(axes.first, axes.last, 6):
        x = f"{axes.x(value):.1f}"
        drawn.append(
            f'<line class="axis" x1="{x}" x2="{x}" y1="{base}" y2="{axes.bottom + 4:.1f}"/>'
            f'<text x="{x}" y="{axes.bottom + 17:.1f}" text-anchor="middle">{tick_word(value)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<text x="{middle}" y="{axes.height - 6}" text-anchor="middle">{escape(along)}</text>')
    return drawn


def words(x: float, row: int, text: str, kind: str = "") -> str:
    """A line of words above the plot, cut where the picture ends."""
    room = int((WIDTH - x) / (LETTER * (1.07 if "name" in kind else 1)))
    shown = text if len(text) <= room else text[: room - 1].rstrip() + "…"
    kinds = f' class="{kind}"' if kind else ""
    return f'<text{kinds} x="{x:.1f}" y="{ROW * row + 14}">{escape(shown)}</text>'


def key_line(x: float, row: int, kind: str, dash: str = "") -> str:
    """A short line that shows what a line looks like."""
    y = ROW * row + 10
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line class="line {kind}"{dashed} x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}"/>'


def key_dot(x: float, row: int, kind: str) -> str:
    """A dot that shows what a dot looks like."""
    return f'<circle class="{kind}" cx="{x}" cy="{ROW * row + 10}" r="3.6"/>'


def key_band(x: float, row: int, kinds: Sequence[str]) -> str:
    """A small area that shows what a band looks like."""
    return "".join(
        f'<rect class="{kind}" x="{x}" y="{ROW * row + 5}" width="16" height="11"/>' for kind in kinds
    )


def whole(parts: Iterable[str], *, height: int, alternative: str) -> str:
    """The SVG file around its parts."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(alternative)}">\n<style>{STYLE}</style>\n'
        + "\n".join(part for part in parts if part)
        + "\n</svg>\n"
    )
