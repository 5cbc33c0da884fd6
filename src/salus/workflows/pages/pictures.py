"""The pictures of the quality page: completeness, rows over time, values with their plausible range."""

from __future__ import annotations

import altair as alt
import polars as pl

from salus.workflows.pages.drawing import ALARM, FIRST, INK, Chart, Picture, picture
from salus.workflows.pages.words import number, share

ROW = 20  # pixels a bar takes


def share_bars(frame: pl.DataFrame, *, caption: str) -> Picture:
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
    return picture(
        chart, caption=caption, alternative=f"{caption} Most often: {said}.", height=50 + ROW * frame.height
    )


def over_periods(frame: pl.DataFrame, column: str, *, title: str, since: str, caption: str) -> Picture:
    """Draw ``column`` for each period; open periods at the ends hold everything before or after."""
    shown = frame.select("start", column).drop_nulls()
    y = alt.Y(f"{column}:Q", title=title, axis=alt.Axis(tickCount=4, format="~s")).scale(zero=True)
    chart = (
        alt.Chart(shown)
        .mark_line(color=FIRST, point=alt.OverlayMarkDef(color=FIRST, size=18), strokeWidth=2)
        .encode(
            x=alt.X("start:Q", title=since, axis=alt.Axis(tickCount=6, format="d")).scale(zero=False), y=y
        )
    )
    if shown.is_empty():
        return picture(chart, caption=caption, alternative=f"{caption} No period has enough patients.")
    top = shown.sort(column, "start").row(-1, named=True)
    said = f"{caption} Highest in period {top['start']}: {number(float(top[column]))}."
    return picture(chart, caption=caption, alternative=said)


def value_histogram(
    bins: pl.DataFrame, *, name: str, unit: str, low: float | None, high: float | None
) -> Picture:
    """Draw one code's values (``start``, ``end``, ``values``) and mark the ends of its plausible range."""
    title = f"{name} ({unit})" if unit else name
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
    ends = [end for end in (low, high) if end is not None and _near(end, bins)]
    rules = alt.Chart(pl.DataFrame({"end": ends}, schema={"end": pl.Float64}))
    marked = rules.mark_rule(color=ALARM, strokeDash=[5, 3], strokeWidth=2).encode(x="end:Q")
    plausible = _range_words(low, high, unit)
    peak = bins.sort("values", "start").row(-1, named=True)
    most = f"Most values between {number(peak['start'])} and {number(peak['end'], unit)}."
    chart: Chart = alt.LayerChart(layer=[bars, marked]) if ends else bars
    return picture(
        chart, caption=f"{title}. {plausible}", alternative=f"{title}: {most} {plausible}", height=150
    )


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
