"""The pictures of the quality page: completeness, rows over time, values with their plausible range."""

from __future__ import annotations

from dataclasses import dataclass

import altair as alt
import polars as pl

from salus.workflows.pages.drawing import ALARM, FIRST, INK, Chart, Drawn, figure_of
from salus.workflows.pages.words import number, share

ROW = 20  # pixels a bar takes


def share_bars(frame: pl.DataFrame, file: str, *, caption: str) -> Drawn:
    """Draw one bar a code (``name``, ``share_of_patients``): of how many patients it is recorded."""
    chart = (
        alt.Chart(frame.select("name", "share_of_patients"))
        .mark_bar(color=FIRST, height=11)
        .encode(
            x=alt.X(
                "share_of_patients:Q", title="share of patients", axis=alt.Axis(format="%", tickCount=4)
            ).scale(domain=[0, 1]),
            y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=170)),
        )
    )
    known = frame.drop_nulls("share_of_patients")
    said = "; ".join(f"{row['name']} {share(row['share_of_patients'])}" for row in known.head(5).to_dicts())
    height = 50 + ROW * frame.height
    return figure_of(
        chart, file, caption=caption, alternative=f"{caption} Most often: {said}.", height=height
    )


def over_periods(frame: pl.DataFrame, column: str, *, since: str, caption: str) -> Drawn:
    """Draw ``column`` for each period; open periods at the ends hold everything before or after."""
    shown, file = frame.select("start", column).drop_nulls(), f"periods-{column.replace('_', '-')}.svg"
    title = column.replace("_", " ")
    y = alt.Y(f"{column}:Q", title=title, axis=alt.Axis(tickCount=4, format="~s")).scale(zero=True)
    chart = (
        alt.Chart(shown)
        .mark_line(color=FIRST, point=alt.OverlayMarkDef(color=FIRST, size=18), strokeWidth=2)
        .encode(
            x=alt.X("start:Q", title=since, axis=alt.Axis(tickCount=6, format="d")).scale(zero=False), y=y
        )
    )
    if shown.is_empty():
        return figure_of(
            chart, file, caption=caption, alternative=f"{caption} No period has enough patients."
        )
    top = shown.sort(column, "start").row(-1, named=True)
    said = f"{caption} Highest in period {top['start']}: {number(float(top[column]))}."
    return figure_of(chart, file, caption=caption, alternative=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A code in words: its name, its unit and the ends of its plausible range."""

    name: str
    unit: str = ""
    low: float | None = None
    high: float | None = None


def value_histogram(bins: pl.DataFrame, file: str, *, of: Described) -> Drawn:
    """Draw one code's values (``start``, ``end``, ``values``) and mark the ends of its plausible range."""
    unit = of.unit
    title = f"{of.name} ({unit})" if unit else of.name
    bars = (
        alt.Chart(bins.select("start", "end", "values"))
        .mark_rect(color=FIRST, stroke=INK, strokeWidth=0.3)
        .encode(
            x=alt.X("start:Q", title=unit or "value", axis=alt.Axis(tickCount=5)).scale(
                zero=False, nice=False
            ),
            x2="end:Q",
            y=alt.Y("values:Q", title="values", axis=alt.Axis(tickCount=3, format="~s")).scale(zero=True),
            y2=alt.datum(0),
        )
    )
    ends = [end for end in (of.low, of.high) if end is not None and _near(end, bins)]
    rules = alt.Chart(pl.DataFrame({"end": ends}, schema={"end": pl.Float64}))
    marked = rules.mark_rule(color=ALARM, strokeDash=[5, 3], strokeWidth=2).encode(x="end:Q")
    plausible = _range_words(of.low, of.high, unit)
    peak = bins.sort("values", "start").row(-1, named=True)
    most = f"Most values between {number(peak['start'])} and {number(peak['end'], unit)}."
    chart: Chart = alt.LayerChart(layer=[bars, marked]) if ends else bars
    said = f"{title}: {most} {plausible}"
    return figure_of(chart, file, caption=f"{title}. {plausible}", alternative=said, height=150)


def _near(end: float, bins: pl.DataFrame) -> bool:
    """Whether the end of a range lies within one picture's width of the values."""
    first, last = bins["start"].min(), bins["end"].max()
    if not isinstance(first, float) or not isinstance(last, float):
        return False
    return first - (last - first) / 2 <= end <= last + (last - first) / 2


def _range_words(low: float | None, high: float | None, unit: str) -> str:
    if low is None and high is None:
        return "No plausible range is declared."
    if low is None:
        return f"Plausible up to {number(high, unit)} (dashed)."
    if high is None:
        return f"Plausible from {number(low, unit)} (dashed)."
    return f"Plausible: {number(low)} to {number(high, unit)} (dashed where near)."
