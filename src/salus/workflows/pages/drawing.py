"""Turns a chart into an SVG file that needs nothing else: same bytes each time, legible on light and on dark."""

from __future__ import annotations

import re
from html import escape

import altair as alt
import vl_convert

from salus.workflows.pages.sheet import Figure

# Charts are drawn with these stand-ins; the style inside the file decides what they look like.
INK, LINE, FIRST, SECOND, ALARM = "#010101", "#020202", "#030303", "#040404", "#050505"
STYLED = {
    INK: "var(--ink)",
    LINE: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    ALARM: "var(--alarm)",
}
STYLE = """\
:root{color-scheme:light dark;--ground:#ffffff;--ink:#1a1d21;--quiet:#47515c;--line:#c8ced6;\
--first:#1f5aa6;--second:#b3470b;--alarm:#a3261a}
@media (prefers-color-scheme:dark){:root{--ground:#14171a;--ink:#e8eaed;--quiet:#b3bdc7;--line:#444d56;\
--first:#86b6f4;--second:#f3a46c;--alarm:#ff9d90}}
"""
WIDTH = 340  # fits a phone without shrinking the letters
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

Chart = alt.Chart | alt.LayerChart
Drawn = tuple[Figure, str]
"""A picture as a page names it, and its SVG."""


def figure_of(chart: Chart, file: str, *, caption: str, alternative: str, height: int = 210) -> Drawn:
    """Draw ``chart`` at the width of a phone; ``file``: its name beside the page."""
    svg = _svg(chart.properties(width=WIDTH, height=height), alternative)
    figure = Figure(file=file, caption=caption, alternative=alternative, width=WIDTH, height=height)
    return figure, svg


def _svg(chart: Chart, alternative: str) -> str:
    axis = {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK, "gridColor": LINE}
    sizes = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelFont": FONT}
    legend = {"labelColor": INK, "titleColor": INK, "symbolStrokeColor": INK, "orient": "top", "title": None}
    drawn = (
        chart.configure(background="transparent", font=FONT, autosize={"type": "fit", "contains": "padding"})
        .configure_view(stroke=None)
        .configure_axis(**axis, **sizes, titleFont=FONT)
        .configure_legend(**legend, labelFontSize=12, labelFont=FONT)
    )
    svg = vl_convert.vegalite_to_svg(drawn.to_json())
    for drawn_colour, styled in STYLED.items():
        svg = svg.replace(f'"{drawn_colour}"', f'"{styled}"')
    return _as_image(svg, alternative)


def _as_image(svg: str, alternative: str) -> str:
    """Let the drawing be one image with a text alternative, and carry its own colours."""
    svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", svg)
    start, rest = svg.split(">", 1)
    start = start.replace("<svg ", f'<svg role="img" aria-label="{escape(alternative)}" ', 1)
    return f"{start}>\n<style>{STYLE}</style>{rest}\n"
