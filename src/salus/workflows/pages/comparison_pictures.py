"""Pictures of synthetic beside real patients and of forecasts: real is a solid line, synthetic a dashed one."""

from __future__ import annotations

import altair as alt
import polars as pl

from salus.workflows.pages.comparison import MEANS, PRESENCE, REAL, SYNTHETIC
from salus.workflows.pages.drawing import FIRST, INK, LINE, SECOND, Chart, Drawn, figure_of
from salus.workflows.pages.words import number, share

WHO = alt.Scale(domain=[REAL, SYNTHETIC], range=[FIRST, SECOND])
DASHES = alt.Scale(domain=[REAL, SYNTHETIC], range=[[1, 0], [5, 3]])


def _colour() -> alt.Color:
    return alt.Color("who:N", scale=WHO, legend=alt.Legend(title=None, symbolType="stroke"))


def _dash() -> alt.StrokeDash:
    return alt.StrokeDash("who:N", scale=DASHES, legend=alt.Legend(title=None, symbolType="stroke"))


def marginals(shares: pl.DataFrame, file: str, *, caption: str) -> Drawn:
    """Each code (``name``) as a dot: share of real patients across, of synthetic patients up; equal on the line."""
    line = alt.Chart(pl.DataFrame({"x": [0.0, 1.0]})).mark_line(color=INK, strokeDash=[3, 3], strokeWidth=1)
    percent = alt.Axis(format="%", tickCount=4)
    dots = (
        alt.Chart(shares)
        .mark_circle(color=FIRST, size=34, opacity=0.8)
        .encode(
            x=alt.X("real:Q", title="share of real patients", axis=percent).scale(domain=[0, 1]),
            y=alt.Y("synthetic:Q", title="share of synthetic patients", axis=percent).scale(domain=[0, 1]),
        )
    )
    gap = shares.with_columns((pl.col("real") - pl.col("synthetic")).abs().alias("gap")).sort(
        "gap", descending=True
    )
    said = "No code is in both."
    if gap.height:
        worst = gap.row(0, named=True)
        pair = f"real {share(worst['real'])}, synthetic {share(worst['synthetic'])}"
        said = f"Widest apart: {worst['name']}, {pair}."
    layers = alt.LayerChart(layer=[line.encode(x="x:Q", y="x:Q"), dots])
    return figure_of(layers, file, caption=f"{caption} {said}", alternative=f"{caption} {said}", height=300)


def rates(frame: pl.DataFrame, file: str, *, across: str, caption: str) -> Drawn:
    """Rows per patient in each period, real solid, synthetic dashed."""
    chart = (
        alt.Chart(frame.select("start", "rate", "who"))
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("start:Q", title=across, axis=alt.Axis(tickCount=6, format="d")),
            y=alt.Y("rate:Q", title="rows per patient", axis=alt.Axis(tickCount=4)).scale(zero=True),
            color=_colour(),
            strokeDash=_dash(),
        )
    )
    means = {
        str(who): float(rate) for who, rate in frame.group_by("who").agg(pl.col("rate").mean()).iter_rows()
    }
    said = ", ".join(f"{who} {number(means[who])}" for who in (REAL, SYNTHETIC) if who in means)
    return figure_of(
        chart, file, caption=caption, alternative=f"{caption} Mean over periods: {said} rows per patient."
    )


def values(frame: pl.DataFrame, file: str, *, name: str, unit: str) -> Drawn:
    """One code's values as two steps, real solid, synthetic dashed."""
    chart = (
        alt.Chart(frame.select("start", "share", "who"))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("start:Q", title=unit or "value", axis=alt.Axis(tickCount=5)).scale(
                zero=False, nice=False
            ),
            y=alt.Y("share:Q", title="share of values", axis=alt.Axis(format="%", tickCount=3)).scale(
                zero=True
            ),
            color=_colour(),
            strokeDash=_dash(),
        )
    )
    apart = _apart(frame)
    said = f"The two differ by {share(apart)} of the values (half the summed differences)."
    return figure_of(
        chart,
        file,
        caption=f"{name}. {said}",
        alternative=f"{name}, real and synthetic values. {said}",
        height=170,
    )


def _apart(frame: pl.DataFrame) -> float:
    wide = frame.pivot("who", index="start", values="share")
    if REAL not in wide.columns or SYNTHETIC not in wide.columns:
        return 1.0
    return float((wide[REAL] - wide[SYNTHETIC]).abs().sum()) / 2


def learning_curve(curve: pl.DataFrame, file: str, *, across: str, caption: str) -> Drawn:
    """Loss (``x``, ``loss``, ``who``) over training: training patients solid, held-out ones dashed."""
    names = curve["who"].unique(maintain_order=True).to_list()
    colours = alt.Scale(domain=names, range=[FIRST, SECOND][: len(names)])
    dashes = alt.Scale(domain=names, range=[[1, 0], [5, 3]][: len(names)])
    legend = alt.Legend(title=None, symbolType="stroke")
    chart = (
        alt.Chart(curve.select("x", "loss", "who"))
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("x:Q", title=across, axis=alt.Axis(tickCount=5)),
            y=alt.Y("loss:Q", title="nats per fact", axis=alt.Axis(tickCount=4)).scale(zero=False),
            color=alt.Color("who:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("who:N", scale=dashes, legend=legend),
        )
    )
    best = curve.group_by("who", maintain_order=True).agg(pl.col("loss").min())
    said = ", ".join(f"{who} {loss:.3f}" for who, loss in best.iter_rows())
    return figure_of(
        chart, file, caption=f"{caption} Lowest: {said} nats per fact.", alternative=f"{caption} {said}."
    )


def calibration(groups: pl.DataFrame, file: str, *, task: str) -> Drawn:
    """Groups of patients by predicted risk: mean prediction across, observed share up; right on the line."""
    top = max(0.05, *(float(value or 0) for column in ("predicted", "observed") for value in groups[column]))
    domain = [0, min(1.0, top * 1.1)]
    line = alt.Chart(pl.DataFrame({"x": domain}, schema={"x": pl.Float64})).mark_line(
        color=INK, strokeDash=[3, 3], strokeWidth=1
    )
    percent = alt.Axis(format=".0%" if top > 0.1 else ".1%", tickCount=4)
    dots = (
        alt.Chart(groups.select("predicted", "observed"))
        .mark_line(color=FIRST, strokeWidth=1.6, point=alt.OverlayMarkDef(color=FIRST, size=40))
        .encode(
            x=alt.X("predicted:Q", title="mean predicted risk", axis=percent).scale(domain=domain),
            y=alt.Y("observed:Q", title="observed share", axis=percent).scale(domain=domain),
        )
    )
    bars = (
        alt.Chart(groups.select("predicted", "lower", "upper"))
        .mark_rule(color=FIRST, strokeWidth=1.2, clip=True)
        .encode(x="predicted:Q", y="lower:Q", y2="upper:Q")
    )
    last = groups.sort("predicted").row(-1, named=True)
    said = (
        f"{task}: {groups.height} groups of equal size. In the group of highest risk "
        f"{share(last['predicted'])} was predicted and {share(last['observed'])} observed; bars: 95 % intervals."
    )
    chart: Chart = alt.LayerChart(layer=[line.encode(x="x:Q", y="x:Q"), bars, dots])
    return figure_of(chart, file, caption=said, alternative=said, height=250)


def ladder(rows: pl.DataFrame, file: str, *, caption: str) -> Drawn:
    """A measure (``name``, ``synthetic``, ``ceiling``, ``floor``) as marks on one line each."""
    order = rows["name"].to_list()
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=160))
    long = rows.unpivot(
        ["synthetic", "ceiling", "floor"], index="name", variable_name="what", value_name="at"
    )
    kinds = ["synthetic", "ceiling", "floor"]
    marks = (
        alt.Chart(long.drop_nulls())
        .mark_point(filled=True, size=75)
        .encode(
            x=alt.X("at:Q", title="closeness (1 is the same)", axis=alt.Axis(tickCount=4)).scale(
                domain=[0, 1]
            ),
            y=y,
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=kinds, range=[SECOND, FIRST, INK]),
                legend=alt.Legend(title=None),
            ),
            shape=alt.Shape(
                "what:N",
                scale=alt.Scale(domain=kinds, range=["diamond", "circle", "cross"]),
                legend=alt.Legend(title=None),
            ),
        )
    )
    lines = alt.Chart(pl.DataFrame({"name": order})).mark_rule(color=LINE).encode(y=y)
    said = "; ".join(f"{row['name']} {number(row['synthetic'])}" for row in rows.to_dicts())
    chart: Chart = alt.LayerChart(layer=[lines, marks])
    return figure_of(
        chart,
        file,
        caption=caption,
        alternative=f"{caption} Synthetic: {said}.",
        height=70 + 30 * rows.height,
    )


def correlations(pairs: pl.DataFrame, file: str, *, caption: str) -> Drawn:
    """Each pair of codes as a mark: its correlation in real patients across, in synthetic ones up."""
    line = alt.Chart(pl.DataFrame({"x": [-1.0, 1.0]})).mark_line(color=INK, strokeDash=[3, 3], strokeWidth=1)
    kinds = [kind for kind in (MEANS, PRESENCE) if kind in pairs["kind"]]
    legend = alt.Legend(title=None)
    dots = (
        alt.Chart(pairs.select("kind", REAL, SYNTHETIC))
        .mark_point(filled=True, size=28, opacity=0.75)
        .encode(
            x=alt.X(f"{REAL}:Q", title="correlation in real patients", axis=alt.Axis(tickCount=5)).scale(
                domain=[-1, 1]
            ),
            y=alt.Y(
                f"{SYNTHETIC}:Q", title="correlation in synthetic patients", axis=alt.Axis(tickCount=5)
            ).scale(domain=[-1, 1]),
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=kinds, range=[FIRST, SECOND][: len(kinds)]), legend=legend
            ),
            shape=alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=["circle", "diamond"][: len(kinds)]),
                legend=legend,
            ),
        )
    )
    layers = alt.LayerChart(layer=[line.encode(x="x:Q", y="x:Q"), dots])
    return figure_of(layers, file, caption=caption, alternative=caption, height=320)


def net_benefit(curve: pl.DataFrame, file: str, *, task: str) -> Drawn:
    """Net benefit over the risk from which one acts: by the forecast with its bounds, for everybody, for nobody."""
    kinds = ["by the forecast", "everybody", "nobody"]
    long = pl.concat(
        [
            curve.select("threshold", pl.col(column).alias("at"), pl.lit(kind).alias("who"))
            for kind, column in zip(kinds, ("forecast", "everybody"), strict=False)
        ]
        + [curve.select("threshold", pl.lit(0.0).alias("at"), pl.lit("nobody").alias("who"))]
    )
    top = max(float(curve["upper"].to_numpy().max()), float(curve["everybody"].to_numpy().max()), 0.01)
    axis = alt.Y("at:Q", title="net benefit per patient", axis=alt.Axis(tickCount=4)).scale(
        domain=[-0.25 * top, 1.05 * top]
    )
    across = alt.X("threshold:Q", title="risk from which one acts", axis=alt.Axis(format="%", tickCount=5))
    legend = alt.Legend(title=None, symbolType="stroke")
    lines = (
        alt.Chart(long)
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=across,
            y=axis,
            color=alt.Color(
                "who:N", scale=alt.Scale(domain=kinds, range=[FIRST, SECOND, INK]), legend=legend
            ),
            strokeDash=alt.StrokeDash(
                "who:N", scale=alt.Scale(domain=kinds, range=[[1, 0], [5, 3], [2, 3]]), legend=legend
            ),
        )
    )
    band = (
        alt.Chart(curve.select("threshold", "lower", "upper"))
        .mark_area(color=FIRST, opacity=0.22, clip=True)
        .encode(x="threshold:Q", y="lower:Q", y2="upper:Q")
    )
    said = (
        f"{task}: net benefit of acting on the forecast (band: 95 % intervals) beside treating everybody or nobody;"
        " higher is better."
    )
    chart: Chart = alt.LayerChart(layer=[band, lines])
    return figure_of(chart, file, caption=said, alternative=said, height=220)
