"""The picture of a training run: loss on training and on tuning patients over time."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl
import vl_convert

from salus.trajectory.training import TrainLog

COLOURS = ["#1f6f8b", "#c2571a"]


def draw_learning_curve(log: TrainLog, path: Path) -> None:
    """Write an SVG: nats per fact against minutes, one line for training and one for tuning patients."""
    rows = [
        {"minutes": point["seconds"] / 60, "patients": patients, "loss": point[name]}
        for point in log.curve
        for name, patients in (("train", "training (last step)"), ("tuning", "tuning"))
    ]
    base = alt.Chart(
        pl.DataFrame(rows, schema={"minutes": pl.Float64, "patients": pl.String, "loss": pl.Float64})
    )
    chart = base.mark_line(point=True).encode(
        x=alt.X("minutes:Q", title="training time, minutes"),
        y=alt.Y("loss:Q", title="loss, nats per fact", scale=alt.Scale(zero=False)),
        color=alt.Color("patients:N", title="patients", scale=alt.Scale(range=COLOURS)),
        strokeDash=alt.StrokeDash("patients:N", title="patients"),
    )
    picture = chart.properties(width=560, height=280, title="Learning curve", background="#ffffff")
    path.write_text(vl_convert.vegalite_to_svg(picture.to_json()), encoding="utf-8")
