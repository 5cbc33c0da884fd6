"""Turns a chart into SVG that lives inside a page: same bytes each time, legible on light and on dark."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

import altair as alt
import vl_convert
from markupsafe import Markup

# Charts are drawn with these stand-ins; the page's style sheet decides what they look like.
INK, LINE, FIRST, SECOND, ALARM = "#010101", "#020202", "#030303", "#040404", "#050505"
STYLED = {
    INK: "currentColor",
    LINE: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    ALARM: "var(--alarm)",
}
WIDTH = 340  # fits a phone without shrinking the letters
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

Chart = alt.Chart | alt.LayerChart


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn chart with its caption and what it says in words."""

    svg: Markup
    caption: str
    alternative: str


def picture(chart: Chart, *, caption: str, alternative: str, height: int = 210) -> Picture:
    """Draw ``chart`` at the width of a phone."""
    return Picture(_svg(chart.properties(width=WIDTH, height=height), alternative), caption, alternative)


def _svg(chart: Chart, alternative: str) -> Markup:
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
    return Markup(_as_image(_own_names(svg), alternative))


def _own_names(svg: str) -> str:
    """Give the clip paths names of their own, so that many drawings can share one page."""
    own = sha256(svg.encode()).hexdigest()[:10]
    svg = re.sub(r'id="([^"]+)"', rf'id="{own}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{own}-\1)", svg)


def _as_image(svg: str, alternative: str) -> str:
    """Let the drawing be one image with a text alternative to those who do not see it."""
    svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", svg)
    label = Markup.escape(alternative)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
