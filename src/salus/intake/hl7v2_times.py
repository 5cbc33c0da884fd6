"""Times of HL7 v2 (TS, DTM, DT) as UTC: by their own offset, else their message's, else the declared zone."""

from __future__ import annotations

import polars as pl

from salus.formats.source_times import YEARS

DIGITS = r"^(\d{8,14})(?:\.(\d{1,6})\d*)?([+-]\d{4})?$"
UTC_TIME = pl.Datetime("us")
MINUTE = 60_000_000
LONGEST_OFFSET = 14 * 60


def own_offset(stamps: pl.Series) -> pl.Series:
    """The offset from UTC that each time says itself, in minutes; null where it says none.

    >>> own_offset(pl.Series(["20240101+0130", "202401011200", ""])).to_list()
    [90, None, None]
    """
    if not stamps.str.contains("[+-]").any():
        return pl.Series([None], dtype=pl.Int32).new_from_index(0, len(stamps))
    said = stamps.str.extract(r"([+-]\d{4})(?:\^.*)?$")
    hours, minutes = said.str.slice(1, 2).cast(pl.Int32), said.str.slice(3, 2).cast(pl.Int32)
    total = hours * 60 + minutes
    sane = (minutes < 60) & (total <= LONGEST_OFFSET)
    signed = pl.select(pl.when(said.str.starts_with("-")).then(-total).otherwise(total)).to_series()
    return signed.set(~sane.fill_null(True), None)


def in_utc(stamps: pl.Series, offsets: pl.Series, *, zone: str) -> pl.Series:
    """Read times; null for what is empty, no moment, told only to the month, or not between 1850 and 2200.

    ``offsets``: minutes from UTC of each time's message, for times that say none themselves. A time of the declared
    zone that its clocks showed twice or never is null too: it cannot be told.

    >>> said = pl.Series(["20240701120000", "202407011200+0000", "201903", "20240230"])
    >>> in_utc(said, pl.Series([None, 120, None, None], dtype=pl.Int32), zone="Europe/Berlin").dt.hour().to_list()
    [10, 12, None, None]
    """
    begins = (stamps != stamps.shift()).fill_null(True) | offsets.ne_missing(offsets.shift())
    read = _in_utc(stamps.filter(begins), offsets.filter(begins), zone)
    return read.gather(begins.cum_sum() - 1)


def _in_utc(stamps: pl.Series, offsets: pl.Series, zone: str) -> pl.Series:
    rows = pl.DataFrame({"local": _local(stamps), "offset": own_offset(stamps).fill_null(offsets)})
    by_offset = pl.col("local") - pl.col("offset").cast(pl.Int64).mul(MINUTE).cast(pl.Duration("us"))
    in_zone = rows["local"].clear(rows.height)
    if rows["offset"].null_count():
        in_zone = rows.select(_in_zone(pl.col("local"), zone)).to_series()
    told = pl.when(pl.col("offset").is_not_null()).then(by_offset).otherwise(pl.lit(in_zone)).cast(UTC_TIME)
    utc = rows.select(told.alias("utc"))
    return utc.select(pl.when(pl.col("utc").dt.year().is_between(*YEARS)).then("utc")).to_series()


def _in_zone(local: pl.Expr, zone: str) -> pl.Expr:
    zoned = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _local(stamps: pl.Series) -> pl.Series:
    """The clock time each stamp says, to the day at least."""
    exact = stamps.str.to_datetime("%Y%m%d%H%M%S", strict=False, time_unit="us")
    rest = (exact.is_null() & (stamps.str.len_bytes() > 0)) | (stamps.str.len_bytes() != 14)
    if not rest.any():
        return exact
    parts = stamps.filter(rest).str.split("^").list.get(0, null_on_oob=True).str.extract_groups(DIGITS)
    digits = parts.struct[0]
    clock = (digits + "000000").str.slice(0, 14)
    read = clock.str.to_datetime("%Y%m%d%H%M%S", strict=False, time_unit="us")
    micro = (parts.struct[1].fill_null("") + "000000").str.slice(0, 6).cast(pl.Int64).cast(pl.Duration("us"))
    sane = digits.str.len_bytes().is_in([8, 10, 12, 14]).fill_null(False)
    return exact.scatter(rest.arg_true(), (read + micro).set(~sane, None))


def birth_in_utc(stamps: pl.Series, *, zone: str) -> tuple[pl.Series, pl.Series]:
    """Times of birth, and whether they were assumed: told to the year or month, the middle of it is taken.

    >>> born, assumed = birth_in_utc(pl.Series(["1963", "196308", "19630815"]), zone="UTC")
    >>> born.dt.strftime("%Y-%m-%d").to_list(), assumed.to_list()
    (['1963-07-01', '1963-08-15', '1963-08-15'], [True, True, False])
    """
    length = stamps.str.len_bytes()
    digits = stamps.str.contains(r"^\d+$").fill_null(False)
    year, month = digits & (length == 4), digits & (length == 6)
    whole = pl.select(
        pl.when(year).then(pl.lit(stamps) + "0701").when(month).then(pl.lit(stamps) + "15").otherwise(stamps)
    ).to_series()
    none = pl.Series([None], dtype=pl.Int32).new_from_index(0, len(whole))
    return in_utc(whole, none, zone=zone), year | month
