"""OMOP to a timeline and back keeps what the reader took; a slow reader of one row at a time referees the fast one."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from salus.intake.omop_place import OmopPlace
from salus.workflows.export_tables import export_omop
from tests.small_omop import Ingested, ingested_from, write_tables

CONCEPTS = (0, 255848, 3023103, 4041306, 45591453, 999, 2_000_000_777)
ANSWERS = (0, 4298794, 888)
WORDS = ("", "x", "J18.9", "a//b", "two words", "<5", "ref 1..2", 'quote " and, comma', "ünï")
LARGE = settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""Few examples of many rows: a read takes longer than a row."""
days = st.dates(date(1900, 1, 1), date(2100, 1, 1))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
numbers = st.one_of(st.none(), st.integers(-5, 400), st.floats(-1e6, 1e6, width=32, allow_subnormal=False))
people = st.integers(1, 2)
keys = st.integers(-(2**40), 2**40)


def when(stem: str) -> dict[str, st.SearchStrategy[object]]:
    """A date, with or without its time."""
    return {f"{stem}_date": days, f"{stem}_datetime": st.none()}


@st.composite
def spans(draw: st.DrawFn, stem: str) -> dict[str, object]:
    """Start and perhaps an end, each as a day or as a moment of that day."""
    first, last = sorted((draw(moments), draw(moments)))
    told: dict[str, object] = {f"{stem}_start_date": first.date(), f"{stem}_end_date": None}
    with_time = draw(st.booleans())
    if with_time:
        told[f"{stem}_start_datetime"] = first
    if draw(st.booleans()):
        told[f"{stem}_end_date"] = last.date()
        if with_time:
            told[f"{stem}_end_datetime"] = last
    return told


@st.composite
def measurements(draw: st.DrawFn) -> dict[str, object]:
    moment = draw(moments)
    return {
        "measurement_id": draw(keys),
        "person_id": draw(people),
        "measurement_concept_id": draw(st.sampled_from(CONCEPTS)),
        "measurement_date": moment.date(),
        "measurement_datetime": draw(st.sampled_from((None, moment))),
        "operator_concept_id": draw(st.sampled_from((0, 4171754, 4171756, 4172703))),
        "value_as_number": draw(numbers),
        "value_as_concept_id": draw(st.sampled_from(ANSWERS)),
        "unit_concept_id": draw(st.sampled_from((0, 8753))),
        "range_low": draw(numbers),
        "range_high": draw(numbers),
        "measurement_source_value": draw(st.sampled_from(WORDS)),
        "unit_source_value": draw(st.sampled_from(("", "mmHg", "drops"))),
        "value_source_value": draw(st.sampled_from(WORDS)),
    }


@st.composite
def observations(draw: st.DrawFn) -> dict[str, object]:
    return {
        "observation_id": draw(keys),
        "person_id": draw(people),
        "observation_concept_id": draw(st.sampled_from(CONCEPTS)),
        "observation_date": draw(days),
        "value_as_number": draw(numbers),
        "value_as_string": draw(st.sampled_from(WORDS)),
        "value_as_concept_id": draw(st.sampled_from(ANSWERS)),
        "observation_source_value": draw(st.sampled_from(WORDS)),
    }


@st.composite
def spanned(draw: st.DrawFn, table: str, stem: str, dates: str) -> dict[str, object]:
    """A row of a table whose rows begin and end."""
    row = {
        f"{table}_id": draw(keys),
        "person_id": draw(people),
        f"{stem}_concept_id": draw(st.sampled_from(CONCEPTS)),
        f"{stem}_source_value": draw(st.sampled_from(WORDS)),
        f"{stem}_source_concept_id": draw(st.sampled_from((0, 45591453))),
        **draw(spans(dates)),
    }
    if stem == "drug":
        row["days_supply"] = draw(st.one_of(st.none(), st.integers(0, 365)))
    if stem == "visit":
        row["admitted_from_concept_id"] = draw(st.sampled_from((0, 9203)))
        row["discharged_to_concept_id"] = draw(st.sampled_from((0, 8536)))
    return row


def listed(row: st.SearchStrategy[dict[str, object]], key: str) -> st.SearchStrategy[list[dict[str, object]]]:
    return st.lists(row, max_size=30, unique_by=lambda one: one[key])


databases = st.fixed_dictionaries(
    {
        "measurement": listed(measurements(), "measurement_id"),
        "observation": listed(observations(), "observation_id"),
        "condition_occurrence": listed(
            spanned("condition_occurrence", "condition", "condition"), "condition_occurrence_id"
        ),
        "drug_exposure": listed(spanned("drug_exposure", "drug", "drug_exposure"), "drug_exposure_id"),
        "visit_occurrence": listed(spanned("visit_occurrence", "visit", "visit"), "visit_occurrence_id"),
    }
)


def as_csv(rows: list[dict[str, object]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def there_and_back(
    folder: Path, tables: dict[str, list[dict[str, object]]], form: str
) -> tuple[Ingested, Ingested]:
    source = write_tables(folder / "omop", **{name: as_csv(rows) for name, rows in tables.items() if rows})
    first = ingested_from(OmopPlace(where=str(source)), folder / "first")
    books = export_omop(folder / "first", folder / "out", form=form)
    assert (books.events, books.written, books.not_expressible) == (
        first.books.events,
        first.books.events,
        [],
    )
    out = folder / "out" / ("omop.duckdb" if form == "duckdb" else "")
    return first, ingested_from(OmopPlace(where=str(out)), folder / "second")


@LARGE
@given(tables=databases, form=st.sampled_from(("csv", "parquet", "duckdb")))
def test_a_timeline_of_omop_comes_back_the_same(tables, form):
    with tempfile.TemporaryDirectory() as folder:
        first, second = there_and_back(Path(folder), tables, form)
        assert second.events.equals(first.events)
        assert second.codes.equals(first.codes)
        assert second.books.rejected == 0


@LARGE
@given(tables=databases)
def test_what_omop_said_by_concept_it_says_again(tables):
    """Ids, concepts, dates, numbers and answers of each row, in the columns where they were."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        there_and_back(folder, tables, "parquet")
        for table, rows in tables.items():
            written = pl.read_parquet(folder / "out" / f"{table}.parquet")
            by_key = {row[f"{table}_id"]: row for row in written.iter_rows(named=True)}
            stem = {
                "condition_occurrence": "condition",
                "drug_exposure": "drug",
                "visit_occurrence": "visit",
            }.get(table, table)
            for row in rows:
                if row[f"{stem}_concept_id"]:
                    check_row(row, by_key[row[f"{table}_id"]], stem)


def check_row(row: dict[str, object], again: dict[str, object], stem: str) -> None:
    same = [f"{stem}_concept_id", "person_id", "range_low", "range_high"]
    same += [name for name in row if name.endswith(("_date", "_from_concept_id", "_to_concept_id"))]
    for name in same:
        if name.startswith("range_") and row.get("value_as_number") is None:
            continue  # a range beside no number says nothing of the patient
        if name == "discharged_to_concept_id" and row["visit_end_date"] is None:
            continue  # without an end it has no time: counted in the books
        if name in row and row[name] not in (None, 0):
            assert again[name] == row[name], name
    if "value_as_concept_id" in row:
        assert (again["value_as_concept_id"] or 0) == row["value_as_concept_id"]
        told, written = row["value_as_number"], again["value_as_number"]
        assert (told is None) == (written is None)
        assert told is None or abs(float(str(told)) - float(str(written))) <= 1e-6 * abs(float(str(told)))


CELLS = st.sampled_from(("", "1", "2", "3", "x", "1.0", "1.5", "-7", "9999999999999999999999"))
DATES = st.sampled_from(
    ("", "2026-03-01", "2026-03-02", "0001-01-01", "9999-12-31", "2026-02-30", "2026-03", "soon")
)
VALUES = st.sampled_from(("", "5", "-0.5", "1e39", "nan", "inf", "five", "987.65", "1,5"))
strange = st.fixed_dictionaries(
    {
        "condition_occurrence_id": CELLS,
        "person_id": CELLS,
        "condition_concept_id": st.sampled_from(("", "0", "255848", "12.5", "z")),
        "condition_start_date": DATES,
        "condition_end_date": DATES,
        "condition_source_value": st.sampled_from(("", "word", "a//b")),
    }
)


def whole(cell: str) -> int | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return int(number) if number == int(number) and abs(number) < 2**63 else None


def sane_day(cell: str) -> date | None:
    try:
        day = date.fromisoformat(cell) if len(cell) == 10 else None
    except ValueError:
        return None
    return day if day and 1850 <= day.year <= 2200 else None


def keeps(row: dict[str, str], seen: set[int]) -> bool:
    """Whether a row is kept, by the plain words of the manual. ``seen``: ids of rows that were."""
    key, start, end = (
        whole(row["condition_occurrence_id"]),
        row["condition_start_date"],
        row["condition_end_date"],
    )
    begun, ended = sane_day(start), sane_day(end)
    ordered = not end or (ended is not None and begun is not None and ended >= begun)
    if whole(row["person_id"]) not in (1, 2) or key is None or begun is None or not ordered:
        return False
    said = whole(row["condition_concept_id"]) or row["condition_source_value"] == "word"
    return bool(said)


@LARGE
@given(rows=st.lists(strange, min_size=1, max_size=60, unique_by=lambda row: row["condition_occurrence_id"]))
@example(
    rows=[
        {
            "condition_occurrence_id": "1",
            "person_id": "1.0",
            "condition_concept_id": "255848",
            "condition_start_date": "2026-03-01",
            "condition_end_date": "",
            "condition_source_value": "",
        }
    ]
)
def test_a_row_is_kept_or_listed_as_a_slow_reader_says(rows):
    distinct = [row for row in rows if row["condition_occurrence_id"] != "1.0"]
    with tempfile.TemporaryDirectory() as folder:
        told = as_csv([dict(row) for row in distinct] or [dict(rows[0])])
        source = write_tables(Path(folder) / "omop", condition_occurrence=told)
        found = ingested_from(OmopPlace(where=str(source)), Path(folder) / "timeline")
    (books,) = (table for table in found.books.tables if table.name == "condition_occurrence")
    kept = [row for row in (distinct or rows[:1]) if keeps(row, set())]
    assert (books.read, books.kept) == (len(distinct) or 1, len(kept))
    assert found.rejected.height == books.read - books.kept
    assert "987.65" not in str(found.rejected.rows())
