"""Which rows a check looks at, and which of them fail: one shard of whole patients at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from salus.timeline.quality_completeness import PLAIN_ROLE, has_value
from salus.timeline.quality_kinds import DAYS_AFTER_DEATH, DAYS_AROUND_VISIT
from salus.timeline.quality_order import KEYS

END = "END//"
"""Before the code of what began: the row that says when it ended."""
ALL_CELLS = [*KEYS, "numeric_value", "text_value", "unit", "known_time"]
PERIOD = "OBSERVATION_PERIOD"
NO_PART = "rows"
DAYS_A_MONTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the checks hold the rows against.

    ``codes``: as codes.parquet. ``valued``: codes that carry a value somewhere. ``sex_of``: codes that only patients of
    one sex (M, F) can have, ``sex_of_kinds`` likewise by what a code is a kind of. ``units_of``: the units a code's
    values can have; "": none; ``known_units``: those that can be held against it. ``today``: rows later than the day
    after are in the future. ``site``: what the codes that name a patient's site begin with.
    """

    codes: pl.DataFrame
    today: datetime
    valued: frozenset[str] = frozenset()
    sex_of: Mapping[str, str] = field(default_factory=dict)
    sex_of_kinds: Mapping[str, str] = field(default_factory=dict)
    units_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known_units: tuple[str, ...] = ()
    vocabularies: tuple[str, ...] = ()
    earliest: datetime = datetime(1950, 1, 1)
    site: str = "SITE"
    time_zero: datetime | None = None
    order_only: bool = False

    @property
    def calendar(self) -> bool:
        """Whether times are days of the calendar, which can be too early or in the future."""
        return self.time_zero is None and not self.order_only


def known_codes(about: Knowledge) -> pl.DataFrame:
    """One row a code: what the checks need to know of it."""
    names = about.codes["code"].to_list()
    visit = pl.col("parent_codes").list.contains("OMOP//visit_occurrence").fill_null(False)
    visit |= pl.col("code").str.contains("^(?i:VISIT|VISIT_DETAIL)//")
    return about.codes.select(
        "code",
        pl.col("role").fill_null(PLAIN_ROLE),
        pl.col("unit").alias("declared"),
        "low",
        "high",
        pl.lit(True).alias("described"),
        (visit & ~pl.col("code").str.starts_with(END)).alias("is_visit"),
        pl.Series("standard", [is_standard(name, about.vocabularies) for name in names], dtype=pl.Boolean),
        pl.col("code").is_in(list(about.valued)).alias("valued"),
        pl.Series("only", [about.sex_of.get(name) for name in names], dtype=pl.String),
        pl.Series("only_kinds", [about.sex_of_kinds.get(name) for name in names], dtype=pl.String),
        pl.Series("units", [about.units_of.get(name) for name in names], dtype=pl.List(pl.String)),
    ).unique("code", keep="first", maintain_order=True)


def is_standard(code: str, vocabularies: tuple[str, ...]) -> bool:
    """Whether a code is of one of these vocabularies, whatever else is said before it.

    >>> is_standard("ORDER//RXNORM//1860154", ("RxNorm",)), is_standard("CHART//GCS", ("RxNorm",))
    (True, False)
    """
    said = {part.casefold() for part in code.split("//")[:-1]}
    return any(name.casefold() in said for name in vocabularies)


def looked_at(shard: pl.DataFrame, codes: pl.DataFrame, about: Knowledge) -> pl.DataFrame:
    """The rows of a shard with all that a check needs beside them, and the groups that facts are told for."""
    rows = shard.with_row_index("row").join(codes, on="code", how="left", maintain_order="left")
    rows = rows.with_columns(
        pl.col("role").fill_null(PLAIN_ROLE),
        pl.col("described").fill_null(False),
        pl.col("is_visit").fill_null(False),
        part_of_source(),
        month(about).alias("month"),
    )
    rows = rows.join(_patients(rows, about), on="subject_id", how="left", maintain_order="left")
    rows = rows.join(_starts(rows), on=["subject_id", "source", "code"], how="left", maintain_order="left")
    rows = rows.join(_repeated(rows), on="row", how="left", maintain_order="left")
    rows = rows.join(_beside_visits(rows), on="row", how="left", maintain_order="left")
    return rows.with_columns(
        pl.col("repeats").fill_null(False),
        pl.col("contradicts").fill_null(False),
        pl.col("site").fill_null("not said"),
    )


def has_position() -> pl.Expr:
    """Whether a source names one row (file and line, table and number), not just where all came from."""
    return pl.col("source").str.contains("[:/]").fill_null(False)


def part_of_source() -> pl.Expr:
    """The file, table or kind of resource that a row came from: what stands before its number."""
    return pl.col("source").str.extract(r"^([^:/]+)[:/]").fill_null(NO_PART).alias("part")


def month(about: Knowledge) -> pl.Expr:
    """The calendar month of a row; 30 days counted from time zero where there is one; null where times are an order."""
    if about.order_only:
        return pl.lit(None, dtype=pl.String)
    if about.time_zero is None:
        said = pl.col("time").dt.strftime("%Y-%m")
    else:
        days = (pl.col("time") - about.time_zero).dt.total_days()
        said = (days // DAYS_A_MONTH).cast(pl.String)
    return pl.when(pl.col("role").fill_null(PLAIN_ROLE) == PLAIN_ROLE).then(said)


def _patients(rows: pl.DataFrame, about: Knowledge) -> pl.DataFrame:
    """Each patient's birth, death, sex and site; who has two sexes or sites has none that is sure."""
    sex = pl.col("code").str.extract(r"^(?:SEX|GENDER)//(?i:(M|F)(?:ALE|EMALE)?)$", 1).str.to_uppercase()
    site = pl.col("code").str.strip_prefix(f"{about.site}//")
    of_site = pl.col("code").str.starts_with(f"{about.site}//")
    return rows.group_by("subject_id").agg(
        pl.col("time").filter(pl.col("role") == "birth").min().alias("birth"),
        pl.col("time").filter(pl.col("role") == "death").min().alias("death"),
        _only(sex.drop_nulls()).alias("sex"),
        _only(site.filter(of_site), several="several").alias("site"),
    )


def _only(said: pl.Expr, several: str | None = None) -> pl.Expr:
    return pl.when(said.n_unique() <= 1).then(said.first()).otherwise(pl.lit(several))


def _starts(rows: pl.DataFrame) -> pl.DataFrame:
    """The moment at which what an END// row ends began: the row of the same source."""
    ends = rows.filter(pl.col("code").str.starts_with(END) & pl.col("source").is_not_null())
    begun = ends.select(
        "subject_id", "source", "code", pl.col("code").str.strip_prefix(END).alias("what")
    ).unique()
    starts = rows.select(
        "subject_id", "source", pl.col("code").alias("what"), pl.col("time").alias("started")
    )
    found = begun.join(starts, on=["subject_id", "source", "what"]).drop_nulls("started")
    return found.group_by("subject_id", "source", "code").agg(pl.col("started").min())


def _repeated(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows equal to an earlier one, with and without their source, and rows that contradict one of the same moment."""
    several = rows.filter(pl.struct(KEYS).is_duplicated()).select("row", *ALL_CELLS, "source")
    value = pl.struct("numeric_value", "text_value", "unit")
    equal = ~pl.struct(*ALL_CELLS, "source").is_first_distinct() & has_position()
    return several.select(
        "row",
        equal.alias("repeats"),
        (~pl.struct(ALL_CELLS).is_first_distinct() & ~equal).alias("said_again"),
        (value.n_unique().over(KEYS) > 1).alias("contradicts"),
    )


def _beside_visits(rows: pl.DataFrame) -> pl.DataFrame:
    """For rows of patients with visits: whether they lie further than a week from every one of them."""
    width = timedelta(days=DAYS_AROUND_VISIT)
    visits = rows.filter(pl.col("is_visit") & pl.col("time").is_not_null())
    visits = visits.select(
        "subject_id", "source", pl.col("time").alias("from"), ("END//" + pl.col("code")).alias("end")
    )
    ends = rows.filter(pl.col("code").str.starts_with(END) & pl.col("time").is_not_null())
    ends = ends.select("subject_id", "source", pl.col("code").alias("end"), pl.col("time").alias("until"))
    ends = ends.group_by("subject_id", "source", "end").agg(pl.col("until").max())
    spans = visits.join(ends, on=["subject_id", "source", "end"], how="left").sort("subject_id", "from")
    spans = spans.select(
        "subject_id",
        (pl.col("from") - width).alias("from"),
        (pl.coalesce("until", "from") + width).cum_max().over("subject_id").alias("until"),
    )
    plain = (pl.col("role") == PLAIN_ROLE) & ~pl.col("is_visit") & ~pl.col("code").str.starts_with(END)
    plain &= pl.col("code") != PERIOD
    asked = rows.filter(plain & pl.col("time").is_not_null()).select("row", "subject_id", "time")
    asked = asked.join(spans.select("subject_id").unique(), on="subject_id", how="semi")
    met = asked.sort("time").join_asof(
        spans.sort("from"), left_on="time", right_on="from", by="subject_id", check_sortedness=False
    )
    beside = (pl.col("until") >= pl.col("time")).fill_null(False)
    return met.select("row", (~beside).alias("off_visit"))


Rule = tuple[str, str, pl.Expr, pl.Expr]
"""Name and subject of a check, the rows that it looks at, and those of them that fail."""


def row_rules(about: Knowledge) -> list[Rule]:
    """The checks that look at rows one by one."""
    return [*_form_rules(), *_time_rules(about), *_truth_rules(about)]


def _form_rules() -> list[Rule]:
    """Whether rows have the right form, and whether what they need is there."""
    col, valued = pl.col, pl.col("numeric_value").is_not_null()
    other_unit = col("unit").ne_missing(col("declared"))
    coded = (col("role") == PLAIN_ROLE) & col("time").is_not_null() & col("described")
    coded &= ~col("code").str.starts_with(END) & ~col("is_visit") & (col("code") != PERIOD)
    return [
        ("isRequired", "code", pl.lit(True), col("code").is_null() | (col("code") == "")),
        ("isPrimaryKey", "row", pl.lit(True), col("repeats")),
        ("isForeignKey", "code", col("code").is_not_null(), ~col("described")),
        ("declaredUnit", "unit", valued & col("declared").is_not_null(), other_unit),
        ("measureValueCompleteness", "value", col("valued"), ~has_value()),
        ("standardConceptRecordCompleteness", "code", coded, ~col("standard")),
    ]


def _time_rules(about: Knowledge) -> list[Rule]:
    """Whether rows lie where they can lie in time; distances mean nothing where times are only an order."""
    col, timed = pl.col, pl.col("time").is_not_null()
    mortal = timed & col("death").is_not_null() & (col("role") != "death") & pl.lit(not about.order_only)
    born = timed & col("birth").is_not_null() & (col("role") != "birth")
    calendar = (col("role") == PLAIN_ROLE) & timed & pl.lit(about.calendar)
    late = col("time") > col("death") + timedelta(days=DAYS_AFTER_DEATH)
    visited = col("off_visit").is_not_null() & pl.lit(not about.order_only)
    begun, known = timed & col("started").is_not_null(), timed & col("known_time").is_not_null()
    return [
        ("plausibleValueLow", "time", calendar, col("time") < about.earliest),
        ("plausibleValueHigh", "time", calendar, col("time") > about.today + timedelta(days=1)),
        ("plausibleAfterBirth", "time", born, col("time") < col("birth")),
        ("plausibleBeforeDeath", "time", mortal, late),
        ("plausibleStartBeforeEnd", "time", begun, col("time") < col("started")),
        ("withinVisitDates", "time", visited, col("off_visit")),
        ("knownAfterItHappened", "known_time", known, col("known_time") < col("time")),
    ]


def _truth_rules(about: Knowledge) -> list[Rule]:
    """Whether what rows say can be true of the patient."""
    col, valued = pl.col, pl.col("numeric_value").is_not_null()
    unit, sexed = col("unit").fill_null(""), pl.col("sex").is_not_null()
    judged = valued & col("units").is_not_null() & unit.is_in(["", *about.known_units])
    return [
        ("plausibleValueLow", "value", valued & col("low").is_not_null(), col("numeric_value") < col("low")),
        (
            "plausibleValueHigh",
            "value",
            valued & col("high").is_not_null(),
            col("numeric_value") > col("high"),
        ),
        ("saidOnce", "row", pl.lit(True), col("said_again")),
        ("oneValueAMoment", "value", has_value() & col("time").is_not_null(), col("contradicts")),
        ("plausibleGender", "sex", col("only").is_not_null() & sexed, col("sex") != col("only")),
        (
            "plausibleGenderUseDescendants",
            "sex",
            col("only_kinds").is_not_null() & sexed,
            col("sex") != col("only_kinds"),
        ),
        ("plausibleUnitConceptIds", "unit", judged, ~col("units").list.contains(unit)),
    ]
