"""Pictures of one patient's futures: a measured value with its fan, and the cumulative incidence of each outcome."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.trajectory.futures import fan
from salus.workflows.pages.futures_drawing import (
    DASHES,
    ROW,
    WIDTH,
    Axes,
    grounds,
    key_band,
    key_dot,
    key_line,
    whole,
    words,
)
from salus.workflows.pages.sheet import Figure
from salus.workflows.pages.words import HELD, number

BINS, SINGLE = (10, 5), 3
FILLED = 0.75
"""The finer bins are taken where they hold enough futures in this share of them."""
VALUE_HEIGHT, PLOT_HEIGHT = 262, 190
HOURS = {"hours": 1.0, "days": 24.0, "years": 24 * 365.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One code: its name and unit, values known at the index, what came later, and what the futures hold.

    Frames with ``hours`` since the index and ``value``; ``drawn`` also with ``future``. ``horizon``: hours, None:
    nothing is drawn after the index.
    """

    name: str
    unit: str
    known: pl.DataFrame
    later: pl.DataFrame
    drawn: pl.DataFrame
    horizon: float | None


def scale_of(hours: float) -> tuple[str, float]:
    """In which unit so long a time is shown, and its hours.

    >>> scale_of(48)[0], scale_of(24 * 30)[0], scale_of(24 * 1826)[0]
    ('hours', 'days', 'years')
    """
    name = "years" if hours >= 24 * 700 else "days" if hours > 24 * 4 else "hours"
    return name, HOURS[name]


def value_picture(shown: Measured, file: str) -> tuple[Figure, str]:
    """Known values, the fan of the futures, single futures, and what came later as hollow marks."""
    horizon = shown.horizon or 0.0
    known, later = _window(shown.known, horizon), _up_to(shown.later, horizon)
    bands = bands_of(shown)
    singles = _singles(shown.drawn) if bands.height else []
    back = max(-_least(known, later), 0.06 * horizon, 1.0)
    name, unit = scale_of(back + horizon)
    spread = [*known["value"], *later["value"], *(value for line in singles for _, value in line)]
    spread += [*bands["lowest"], *bands["highest"]] if bands.height else []
    lowest, highest = _room(spread)
    axes = Axes(
        first=-back / unit * 1.03,
        last=(horizon or back * 0.03) / unit,
        lowest=lowest,
        highest=highest,
        top=(3 if bands.height else 2) * ROW + 12,
        height=VALUE_HEIGHT,
    )
    alternative = _said(shown, known, later, bands)
    parts = [
        words(2, 0, f"{shown.name} ({shown.unit})" if shown.unit else shown.name, "name"),
        *_value_key(held=later.height > 0, drawn=bands.height > 0),
        *grounds(axes, along=f"{name} from the index"),
        *_fan_parts(axes, bands, singles, unit),
        axes.upright(0, "index"),
        axes.line(_points(known, unit), "c0"),
        axes.dots(_points(known, unit), "f0", 2.6),
        axes.dots(_points(later, unit), "hollow c0", 3.4),
    ]
    caption = _caption(shown, shown.known.height - known.height, bands)
    label = "SYNTHETIC" if bands.height else "REAL"
    figure = Figure(
        file=file, caption=caption, alternative=alternative, width=WIDTH, height=VALUE_HEIGHT, label=label
    )
    return figure, whole(parts, height=VALUE_HEIGHT, alternative=alternative)


def bands_of(shown: Measured) -> pl.DataFrame:
    """The fan over the finest bins that most of the time hold enough futures."""
    if shown.horizon is None:
        return fan(shown.drawn.clear().rename({"hours": "after"}), edges=[0, 1])
    found = pl.DataFrame()
    for bins in BINS:
        edges = [shown.horizon * step / bins for step in range(bins + 1)]
        found = fan(shown.drawn.rename({"hours": "after"}), edges=edges)
        if found.height >= FILLED * bins:
            break
    return found


def _window(known: pl.DataFrame, horizon: float) -> pl.DataFrame:
    """Known values not older than twice the horizon, at least the last one; without a horizon all of them."""
    recent = known.filter(pl.col("hours") >= -2 * horizon) if horizon else known
    return recent if recent.height else known.tail(1)


def _up_to(later: pl.DataFrame, horizon: float) -> pl.DataFrame:
    return later.filter(pl.col("hours") <= horizon) if horizon else later.clear()


def _least(*frames: pl.DataFrame) -> float:
    return min((float(frame["hours"][0]) for frame in frames if frame.height), default=0.0)


def _room(values: list[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    space = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - space, high + space


def _points(frame: pl.DataFrame, unit: float) -> list[tuple[float, float]]:
    return [(hours / unit, value) for hours, value in zip(frame["hours"], frame["value"], strict=True)]


def _singles(drawn: pl.DataFrame) -> list[list[tuple[float, float]]]:
    """The first few futures in which it is measured more than once: not chosen for their looks."""
    several = drawn.group_by("future").len().filter(pl.col("len") > 1).sort("future")["future"]
    return [
        list(drawn.filter(pl.col("future") == future).sort("hours").select("hours", "value").iter_rows())
        for future in several.head(SINGLE)
    ]


def _fan_parts(
    axes: Axes, bands: pl.DataFrame, singles: list[list[tuple[float, float]]], unit: float
) -> list[str]:
    if bands.is_empty():
        return []
    run = (bands["start"] != bands["end"].shift(1)).fill_null(True).cum_sum()
    drawn = []
    for piece in bands.with_columns(run=run).partition_by("run", maintain_order=True):
        edge = _steps(piece, unit)
        drawn += [
            axes.band(edge("lowest"), edge("highest"), "f1 wide"),
            axes.band(edge("low"), edge("high"), "f1 close"),
            axes.line(edge("middle"), "c1"),
        ]
    drawn += [axes.line([(hours / unit, value) for hours, value in line], "c1 thin") for line in singles]
    return drawn


def _steps(piece: pl.DataFrame, unit: float):  # type: ignore[no-untyped-def]
    """Lines through the middles of neighbouring bins, level to the outer edges of the first and last."""
    middles = ((piece["start"] + piece["end"]) / 2 / unit).to_list()
    ends = (float(piece["start"][0]) / unit, float(piece["end"][-1]) / unit)

    def edge(column: str) -> list[tuple[float, float]]:
        values = piece[column].to_list()
        return [(ends[0], values[0]), *zip(middles, values, strict=True), (ends[1], values[-1])]

    return edge


def _value_key(*, held: bool, drawn: bool) -> list[str]:
    parts = [key_line(2, 1, "c0"), key_dot(15, 1, "f0"), words(34, 1, "REAL, known")]
    if held:
        parts += [key_dot(138, 1, "hollow c0"), words(148, 1, "REAL, held back from the model")]
    if drawn:
        parts += [
            key_line(2, 2, "c1"),
            words(34, 2, "SYNTHETIC, median"),
            key_band(158, 2, ["f1 wide", "f1 close"]),
            words(178, 2, "50 %"),
            key_band(212, 2, ["f1 wide"]),
            words(232, 2, "90 %"),
            key_line(268, 2, "c1 thin"),
            words(298, 2, "single"),
        ]
    return parts


def _caption(shown: Measured, older: int, bands: pl.DataFrame) -> str:
    said = f"{shown.name}."
    if shown.known.height:
        said += f" Last known: {number(float(shown.known['value'][-1]), shown.unit)}."
    if bands.height:
        said += f" Median where the fan ends: {number(float(bands['middle'][-1]), shown.unit)}."
    elif shown.horizon:
        said += " Too few futures hold a value for a fan."
    if older:
        said += f" {older} older {'value is' if older == 1 else 'values are'} not drawn."
    return said


def _said(shown: Measured, known: pl.DataFrame, later: pl.DataFrame, bands: pl.DataFrame) -> str:
    """The picture in words."""
    said = f"{shown.name}: {_counted(known.height)} known"
    if known.height:
        said += f", the last {number(float(known['value'][-1]), shown.unit)}"
    if bands.height:
        last = bands.row(-1, named=True)
        said += (
            f"; in the futures at the end a median of {number(last['middle'], shown.unit)}, 90{HELD}% between"
            f" {number(last['lowest'])} and {number(last['highest'])}"
        )
    return said + f"; {_counted(later.height)} held back from the model."


def _counted(values: int) -> str:
    return f"{values or 'no'} {'value' if values == 1 else 'values'}"


def incidence_picture(curves: pl.DataFrame, *, until: float, file: str, caption: str) -> tuple[Figure, str]:
    """One line an outcome (``task``, ``hours``, ``risk``, ``lower``, ``upper``) with its Monte Carlo band.

    ``until``: hours shown; the share told in words is the last of each curve.
    """
    names = curves["task"].unique(maintain_order=True).to_list()
    unit_name, unit = scale_of(until)
    top = max(float(curves["upper"].to_numpy().max()) * 1.06, 0.02)
    height = ROW * len(names) + 16 + PLOT_HEIGHT
    axes = Axes(
        first=0, last=until / unit, lowest=0, highest=min(top, 1), top=ROW * len(names) + 14, height=height
    )
    parts, bands, lines, ends = (
        [*grounds(axes, along=f"{unit_name} from the index", percent=True)],
        [],
        [],
        [],
    )
    for place, name in enumerate(names):
        own = curves.filter(pl.col("task") == name).sort("hours")
        inside = own.filter(pl.col("hours") <= until * (1 + 1e-9))
        hours = (inside["hours"] / unit).to_list()
        low, middle, high = (
            list(zip(hours, inside[column], strict=True)) for column in ("lower", "risk", "upper")
        )
        look, dash = (place + 1) % len(DASHES), DASHES[place % len(DASHES)]
        bands.append(axes.band(low, high, f"f{look} wide"))
        lines.append(axes.line(middle, f"c{look}", dash))
        share = f"{100 * own['risk'][-1]:.1f}{HELD}%"
        ends.append(f"{name} {share}")
        parts += [key_line(2, place, f"c{look}", dash), words(34, place, f"{name}: {share} in the end")]
    alternative = f"Share of all futures in which it has happened by the end: {'; '.join(ends)}."
    figure = Figure(
        file=file, caption=caption, alternative=alternative, width=WIDTH, height=height, label="SYNTHETIC"
    )
    return figure, whole([*parts, *bands, *lines], height=height, alternative=alternative)
