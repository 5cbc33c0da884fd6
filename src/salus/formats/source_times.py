"""Absolute times of a source: from its pattern and zone into UTC, and from UTC back."""

from __future__ import annotations

import polars as pl

YEARS = (1850, 2200)  # times outside are typing errors


def in_utc(cell: pl.Expr, form: str, zone: str) -> pl.Expr:
    """A time written by ``form`` in ``zone``. One that the clocks showed twice or never cannot be told, and is null."""
    if not any(part in form for part in ("%H", "%T", "%I", "%R")):
        local = cell.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    else:
        local = cell.str.to_datetime(form, strict=False, time_unit="us")
    if "%z" not in form:
        local = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    utc = local.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return pl.when(utc.dt.year().is_between(*YEARS)).then(utc)


def in_zone(time: pl.Expr, form: str, zone: str) -> pl.Expr:
    """A time in UTC, written by ``form`` as the clocks of ``zone`` showed it."""
    return time.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.strftime(form)
