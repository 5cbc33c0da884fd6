"""Events of a timeline as rows of OMOP's tables, each event in one row, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from salus.formats.omop import CLINICAL, DEATH_TABLE, PERIOD, PERSON
from salus.outlet.omop_places import Part, Place
from salus.outlet.omop_values import KEY, PART, clinical_rows, whole_rows

TABLES = {table.name: table for table in CLINICAL}
SOURCE = rf"^({'|'.join(sorted([*TABLES, PERSON], key=len, reverse=True))}):(-?\d+)$"
EVENT, TABLE, BASE = "\x1fevent", "\x1ftable", "\x1fbase"
NO_START = "an end whose start is not in the timeline"
TWICE = "another event says this part of the row"
NO_VISIT = "no visit begins or ends at this moment"
NO_MOMENT = "it has no time"
NO_DEATH = "the patient has no death"
WHY, VISITS = "\x1fwhy", "visit_occurrence"
TRAIT_PARTS = (Part.SEX, Part.RACE, Part.ETHNICITY)
STARTS = (Part.ROW, Part.ANSWER, Part.PERIOD_START)


@dataclass(slots=True, kw_only=True)
class OmopRows:
    """Rows by table, and events that no row says, by code and reason."""

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    written: int = 0


@dataclass(slots=True)
class Keys:
    """The next id of each table for rows that have none of their own."""

    next: dict[str, int]

    def take(self, table: str, count: int) -> pl.Series:
        """So many new ids."""
        first = self.next.get(table, 1)
        self.next[table] = first + count
        return pl.Series(range(first, first + count), dtype=pl.Int64)


def omop_rows(events: pl.DataFrame, places: list[Place], units: Mapping[str, int], *, keys: Keys) -> OmopRows:
    """Write the events of whole patients as rows. ``units``: the concept of each unit. Times stay as they are."""
    made = OmopRows()
    frame = _with_keys(_placed(events, places), keys)
    frame = _without(frame, pl.col("time").is_null() & ~pl.col(PART).is_in(TRAIT_PARTS), NO_MOMENT, made)
    frame = _without(frame, pl.col(KEY).is_null(), pl.col(WHY), made)
    frame = _without(frame, ~pl.struct(TABLE, KEY, PART).is_first_distinct(), TWICE, made)
    made.tables[PERSON] = _persons(frame, events)
    for table in CLINICAL:
        mine = frame.filter(pl.col(TABLE) == table.name)
        if table.name == DEATH_TABLE:
            mine = _without(mine, _orphaned(mine, (Part.DEATH,)), NO_DEATH, made)
            rows = _deaths(mine)
        elif table.name == PERIOD:
            rows = _periods(mine)
        else:
            mine = _without(mine, _orphaned(mine, (Part.ROW, Part.ANSWER)), NO_START, made)
            rows = clinical_rows(mine, table, units)
        made.tables[table.name] = whole_rows(table.name, rows)
    made.written = events.height - sum(made.left_out.values())
    return made


def _placed(events: pl.DataFrame, places: list[Place]) -> pl.DataFrame:
    """Each event with its code's place, and with the row that it came from where that was one of OMOP's."""
    told = pl.DataFrame(
        {
            "code": [place.code for place in places],
            PART: [place.part.value for place in places],
            TABLE: [place.table for place in places],
            BASE: [place.base for place in places],
            "concept": [place.concept for place in places],
            "word": pl.Series([place.word for place in places], dtype=pl.String),
            "answer": [place.answer for place in places],
        }
    )
    row = pl.col("source").str.extract_groups(SOURCE)
    told_table, told_key = row.struct[0], row.struct[1].cast(pl.Int64, strict=False)
    framing = pl.col(TABLE).is_in([PERSON, DEATH_TABLE, PERIOD])
    moved = told_table.is_not_null() & ~framing & ~told_table.is_in([PERSON, DEATH_TABLE, PERIOD])
    return (
        events.with_row_index(EVENT)
        .join(told, on="code", how="left", maintain_order="left")
        .with_columns(pl.when(moved).then(told_table).otherwise(TABLE).alias(TABLE))
        .with_columns(pl.when(told_table == pl.col(TABLE)).then(told_key).alias(KEY))
        .with_columns(
            pl.when(pl.col(TABLE).is_in([PERSON, DEATH_TABLE])).then("subject_id").otherwise(KEY).alias(KEY)
        )
    )


def _with_keys(frame: pl.DataFrame, keys: Keys) -> pl.DataFrame:
    """Give rows without an id a new one; an end gets that of the first start of its kind that is still open."""
    alone = pl.col(KEY).is_null()
    starts = frame.filter(alone & pl.col(PART).is_in(STARTS)).sort(TABLE, EVENT)
    new = [
        keys.take(str(table), count)
        for table, count in starts.group_by(TABLE, maintain_order=True).len().iter_rows()
    ]
    starts = starts.with_columns(pl.concat([pl.Series(KEY, [], dtype=pl.Int64), *new]).alias(KEY))
    found = pl.concat([starts.select(EVENT, KEY), *_ends(frame, starts), _around_visits(frame, starts)])
    why = (
        pl.when(pl.col(PART).is_in([Part.ADMITTED, Part.DISCHARGED]))
        .then(pl.lit(NO_VISIT))
        .otherwise(pl.lit(NO_START))
    )
    return (
        frame.join(found, on=EVENT, how="left", suffix="_new", maintain_order="left")
        .with_columns(pl.coalesce(KEY, f"{KEY}_new").alias(KEY), why.alias(WHY))
        .drop(f"{KEY}_new")
    )


def _ends(frame: pl.DataFrame, starts: pl.DataFrame) -> list[pl.DataFrame]:
    """Ends without an id: the n-th of a kind closes the n-th start of it."""
    group = ["subject_id", TABLE, BASE]
    place = pl.int_range(pl.len()).over(group).alias("place")
    open_rows = starts.with_columns(place).select(*group, "place", KEY, started="time")
    closing = frame.filter(pl.col(KEY).is_null() & pl.col(PART).is_in([Part.END, Part.PERIOD_END])).drop(KEY)
    closed = closing.with_columns(place).join(open_rows, on=[*group, "place"], how="inner")
    return [closed.filter(pl.col("time") >= pl.col("started")).select(EVENT, KEY)]


def _around_visits(frame: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Where patients came from and went to, without an id: of the first visit that begins or ends at that moment."""
    begun = starts.filter((pl.col(TABLE) == VISITS) & (pl.col(PART) == Part.ROW))
    ends = frame.filter(pl.col(KEY).is_null() & (pl.col(PART) == Part.END) & (pl.col(TABLE) == VISITS)).drop(
        KEY
    )
    closed = ends.join(pl.concat(_ends(frame, starts)), on=EVENT)
    found = []
    for part, visits in ((Part.ADMITTED, begun), (Part.DISCHARGED, closed)):
        first = visits.unique(["subject_id", "time"], keep="first", maintain_order=True)
        asked = frame.filter(pl.col(KEY).is_null() & (pl.col(PART) == part))
        found.append(asked.drop(KEY).join(first.select("subject_id", "time", KEY), on=["subject_id", "time"]))
    return pl.concat([part.select(EVENT, KEY) for part in found])


def _without(frame: pl.DataFrame, refused: pl.Expr, reason: str | pl.Expr, made: OmopRows) -> pl.DataFrame:
    """Take events out that no row can say, and count them."""
    marked = frame.with_columns(refused.fill_null(False).alias("refused"))
    why = pl.lit(reason) if isinstance(reason, str) else reason
    counted = marked.filter("refused").group_by("code", why.alias("why")).len()
    made.left_out.update(
        {(str(code), str(reason)): int(count) for code, reason, count in counted.iter_rows()}
    )
    return marked.filter(~pl.col("refused")).drop("refused")


def _orphaned(frame: pl.DataFrame, heads: tuple[Part, ...]) -> pl.Expr:
    """Whether an event belongs to a row whose own event is not there."""
    return ~pl.col(KEY).is_in(frame.filter(pl.col(PART).is_in(heads))[KEY].unique().implode())


def _of(frame: pl.DataFrame, *parts: Part) -> pl.DataFrame:
    return frame.filter(pl.col(PART).is_in(parts))


def _persons(frame: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    people = events.select(pl.col("subject_id").unique().sort().alias("person_id"))
    born = _of(frame, Part.BIRTH).select(person_id="subject_id", birth_datetime="time")
    people = people.join(born, on="person_id", how="left", maintain_order="left")
    for trait, stem in ((Part.SEX, "gender"), (Part.RACE, "race"), (Part.ETHNICITY, "ethnicity")):
        said = _of(frame, trait).select(
            pl.col("subject_id").alias("person_id"),
            pl.col("concept").alias(f"{stem}_concept_id"),
            pl.col("word").alias(f"{stem}_source_value"),
        )
        people = people.join(said, on="person_id", how="left", maintain_order="left")
    birth = pl.col("birth_datetime").dt
    dated = {"year_of_birth": birth.year(), "month_of_birth": birth.month(), "day_of_birth": birth.day()}
    return whole_rows(
        PERSON, people.with_columns(**{name: part.cast(pl.Int64) for name, part in dated.items()})
    )


def _deaths(frame: pl.DataFrame) -> pl.DataFrame:
    died = _of(frame, Part.DEATH).select(
        "time", person_id="subject_id", death_date=pl.col("time").dt.date(), death_datetime="time"
    )
    cause = _of(frame, Part.CAUSE).select(
        person_id="subject_id", cause_concept_id="concept", cause_source_value="word"
    )
    return died.drop("time").join(cause, on="person_id", how="left", maintain_order="left")


def _periods(frame: pl.DataFrame) -> pl.DataFrame:
    begun = _of(frame, Part.PERIOD_START).select(KEY, person_id="subject_id", begun=pl.col("time").dt.date())
    ended = _of(frame, Part.PERIOD_END).select(KEY, ended=pl.col("time").dt.date())
    return begun.join(ended, on=KEY, how="left", maintain_order="left").select(
        pl.col(KEY).alias("observation_period_id"),
        "person_id",
        pl.col("begun").alias("observation_period_start_date"),
        pl.coalesce("ended", "begun").alias("observation_period_end_date"),
    )


def highest_ids(events: pl.DataFrame) -> dict[str, int]:
    """The highest id of each table's rows that events come from."""
    row = events["source"].str.extract_groups(SOURCE)
    found = pl.DataFrame(
        {"table": row.struct[0], "id": row.struct[1].cast(pl.Int64, strict=False)}
    ).drop_nulls()
    return dict(found.group_by("table").agg(pl.col("id").max()).iter_rows())
