"""The picture of failing checks over time: one row a check, darker where more of its rows fail."""

from __future__ import annotations

from itertools import pairwise
from textwrap import wrap

import altair as alt
import polars as pl

from salus.timeline.quality_judging import SMALLEST_GROUP, in_words
from salus.workflows.pages.drawing import ALARM, Drawn, figure_of
from salus.workflows.pages.quality_worklist import Judged
from salus.workflows.pages.sheet import Section
from salus.workflows.pages.words import share

MOST_STEPS = 60
FILE = "failing-over-time.svg"
ROW = 40
BREAK = "\n"
LINES = "split(datum.label, '\\n')"
"""In the drawing's language: a label in several lines."""


def month_section(judged: Judged) -> tuple[tuple[Section, ...], list[Drawn]]:
    """The section and its picture; none where times are only an order or nothing fails."""
    steps, step = _in_steps(judged.facts.filter(pl.col("by") == "month"))
    if steps.is_empty():
        return (), []
    drawn = _picture(steps, judged, step)
    words = (
        f"Each field is {step}; empty: nothing fails, or in fewer than 5 patients a month.",
        "Numerators and denominators of each month stand in facts.json.",
    )
    return (Section(name="months", heading="Failing over time", words=words, figures=(drawn[0],)),), [drawn]


def _in_steps(facts: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Failing shares by month; by year, or by several periods of 30 days, where months are too many to see."""
    calendar = facts["group"].str.contains("^-?[0-9]+-").any()
    amount = facts["group"].n_unique()
    if calendar:
        yearly = amount > MOST_STEPS
        place = pl.col("group").str.slice(0, 4 if yearly else 7)
        step = "a year" if yearly else "a month"
    else:
        wide = max(1, -(-amount // MOST_STEPS))
        place = (pl.col("group").cast(pl.Int64) // wide * wide * 30).cast(pl.String)
        step = f"{30 * wide} days, counted from time zero"
    steps = facts.group_by("check", "about", place.alias("step")).agg(
        pl.col("failed", "checked").sum(), pl.col("failed_patients").max()
    )
    many = steps.filter(pl.col("failed_patients") >= SMALLEST_GROUP)
    return many.with_columns((pl.col("failed") / pl.col("checked")).alias("share")), step


def _picture(steps: pl.DataFrame, judged: Judged, step: str) -> Drawn:
    kinds = [
        (check, about)
        for check, about in steps.select("check", "about").unique().sort("check", "about").iter_rows()
    ]
    said = {kind: "\n".join(wrap(in_words(*kind, judged.gaps), 26)) for kind in kinds}
    shown = steps.with_columns(
        pl.struct("check", "about")
        .map_elements(lambda kind: said[(kind["check"], kind["about"])], return_dtype=pl.String)
        .alias("words")
    ).sort("words", "step")
    order = _between(shown["step"].unique().to_list())
    title = step.removeprefix("a ") if step.startswith("a ") else "days since time zero"
    chart = (
        alt.Chart(shown.select("words", "step", "share"))
        .mark_rect(color=ALARM)
        .encode(
            x=alt.X("step:O", title=title, axis=alt.Axis(labelOverlap=True, labelAngle=0)).scale(
                domain=order
            ),
            y=alt.Y("words:N", title=None, axis=alt.Axis(labelLimit=190, labelExpr=LINES)),
            opacity=alt.Opacity("share:Q", legend=None).scale(type="sqrt", domain=[0, 1], range=[0.15, 1]),
        )
    )
    caption = f"Share of rows that fails; a field is {step}. Darkest: all of them."
    worst = shown.sort("share", "words", "step", descending=[True, False, False]).row(0, named=True)
    alternative = (
        f"{caption} Worst: {worst['words'].replace(BREAK, ' ')}, {worst['step']}: {share(worst['share'])}."
    )
    height = 60 + ROW * len(kinds)
    return figure_of(chart, FILE, caption=caption, alternative=alternative, height=height)


def _between(steps: list[str]) -> list[str]:
    """All steps from the first to the last, those in which nothing fails too."""
    if "-" in steps[0].lstrip("-"):
        months = sorted(12 * int(step[:4]) + int(step[5:]) - 1 for step in steps)
        return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(months[0], months[-1] + 1)]
    places = sorted(int(step) for step in steps)
    width = min((later - earlier for earlier, later in pairwise(places)), default=1)
    return [str(place) for place in range(places[0], places[-1] + 1, width)]
