"""Pictures of attacks: rates beside control and guess, and how synthetic records lie beside those never learnt from."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import polars as pl

from salus.evidence.copies import shares_at
from salus.findings import Finding
from salus.workflows.pages.attack_words import NAMES, by_metric, percent
from salus.workflows.pages.drawing import ALARM, FIRST, INK, SECOND, Drawn, figure_of

SYNTHETIC, CONTROL = "synthetic", "never learnt from"
SIDES = {"attack": "about members", "control": CONTROL, "baseline": "without the set"}
SHAPES = ["circle", "square", "triangle-up"]
POINTS = 60


def rates_picture(findings: Sequence[Finding], file: str) -> Drawn | None:
    """How often guesses were right: about members, about patients never learnt from, and without the set."""
    found = by_metric(findings)
    rows = [
        {"question": name, "side": words, "value": one.value, "lower": one.lower, "upper": one.upper}
        for metric, name in NAMES.items()
        if not metric.endswith("_auc")
        for side, words in SIDES.items()
        if (one := found.get(metric, {}).get(side)) is not None and one.value is not None
    ]
    if not rows:
        return None
    table = pl.DataFrame(rows)
    order = [name for name in NAMES.values() if name in table["question"].to_list()]
    across = alt.X(
        "lower:Q", title="share of guesses that were right", axis=alt.Axis(format="%", tickCount=4)
    )
    down = alt.Y("question:N", sort=order, title=None, axis=alt.Axis(labelLimit=150))
    offset = alt.YOffset("side:N", sort=list(SIDES.values()))
    colour = alt.Color(
        "side:N",
        scale=alt.Scale(domain=list(SIDES.values()), range=[ALARM, FIRST, INK]),
        legend=alt.Legend(title=None, orient="bottom", columns=1),
    )
    rules = alt.Chart(table).mark_rule().encode(x=across, x2="upper:Q", y=down, yOffset=offset, color=colour)
    shape = alt.Shape(
        "side:N",
        scale=alt.Scale(domain=list(SIDES.values()), range=SHAPES),
        legend=alt.Legend(title=None, orient="bottom", columns=1),
    )
    points = (
        alt.Chart(table)
        .mark_point(filled=True, size=42, opacity=1)
        .encode(x="value:Q", y=down, yOffset=offset, color=colour, shape=shape)
    )
    chart = rules + points
    said = "; ".join(
        f"{row['question']}, {row['side']}: {percent(float(row['value'] or 0))}" for row in table.to_dicts()
    )
    caption = "Right guesses with 95 % intervals. A leak is where the circle stands right of both others."
    return figure_of(chart, file, caption=caption, alternative=f"{said}.", height=40 * len(order) + 100)


def beside_picture(table: pl.DataFrame, file: str, *, title: str, caption: str) -> Drawn | None:
    """Two distributions as the share of patients at or above each value; lines on top of each other are alike."""
    values = table["value"].to_numpy()
    if not len(values):
        return None
    cuts = np.unique(np.quantile(values, np.linspace(0, 1, POINTS)))
    rows = []
    for who in (SYNTHETIC, CONTROL):
        own = table.filter(pl.col("who") == who)["value"].to_numpy()
        rows += [
            {"who": who, "value": float(cut), "share": share}
            for cut, share in zip(cuts, shares_at(own, cuts.tolist()), strict=True)
        ]
    kinds = [SYNTHETIC, CONTROL]
    chart = (
        alt.Chart(pl.DataFrame(rows))
        .mark_line(interpolate="step-before")
        .encode(
            x=alt.X("value:Q", title=title, axis=alt.Axis(tickCount=5)),
            y=alt.Y("share:Q", title="share with as much or more", axis=alt.Axis(format="%", tickCount=4)),
            color=alt.Color(
                "who:N",
                scale=alt.Scale(domain=kinds, range=[SECOND, FIRST]),
                legend=alt.Legend(title=None, symbolType="stroke"),
            ),
            strokeDash=alt.StrokeDash(
                "who:N",
                scale=alt.Scale(domain=kinds, range=[[5, 3], [1, 0]]),
                legend=alt.Legend(title=None, symbolType="stroke"),
            ),
        )
    )
    middles = {who: _median(table, who) for who in kinds}
    said = ", ".join(f"{who}: median {value:.3g}" for who, value in middles.items())
    return figure_of(chart, file, caption=caption, alternative=f"{title}; {said}.")


def _median(table: pl.DataFrame, who: str) -> float:
    found = table.filter(pl.col("who") == who)["value"].to_numpy()
    return float(np.median(found)) if len(found) else float("nan")
