"""OMOP tables through a policy, as CSV or Parquet as they came; ids stay the same number in every table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl

from salus.deidentify.column_passage import ColumnPassage, ColumnPlan
from salus.deidentify.fhir_passage import FILE, packed
from salus.deidentify.field_books import Fate
from salus.deidentify.known_patient import OMOP_PERSON, KnownPatient, known_row
from salus.deidentify.omop_names import COLUMNS, id_kind
from salus.deidentify.passing import NO_PATIENT, Passing
from salus.deidentify.policy import Action
from salus.deidentify.table_files import Batch, CsvSink, ParquetSink, TableFile
from salus.errors import InputEmpty
from salus.formats.omop import ALL_TABLES, PERSON, PERSON_KEY

ENDS = (".csv", ".tsv", ".txt", ".parquet")
LOCATION, YEAR_UNIT, NOTHING = "location", "9448", "0"
"""The concept of the unit "year", and the one that says nothing."""
BORN = ("year_of_birth", "month_of_birth", "day_of_birth")
UNKNOWN = "(unknown column)"
STANDING_OUT = {"gender_concept_id": "sex", "race_concept_id": "race", "ethnicity_concept_id": "ethnicity"}
"""Columns of ``person`` that others may know of somebody."""


def pass_omop(source: Path, to: Path, passing: Passing, advance: Callable[[float], None]) -> None:
    """Write every table that the policy names into the folder ``to``."""
    found = list(tables_in(source))
    if not any(name for name, _ in found):
        raise InputEmpty(
            "there is no table of OMOP 5.4 among the files",
            where="salus deidentify IN",
            fix="name the folder that holds person.csv or person.parquet beside the other tables",
        )
    places = _places(found) if passing.wants_known or passing.policy.risk else {}
    if passing.wants_known:
        passing.known = _people(found, places)
    for name, path in found:
        if name in passing.policy.omop:
            _OmopPass(passing, name, places).file(path, to)
        else:
            passing.tally.read[name or FILE] += 1
            passing.tally.left_out[name or FILE] += 1
        advance(float(path.stat().st_size))


def tables_in(source: Path) -> Iterator[tuple[str, Path]]:
    """Each file with the table that its name tells: ``MEASUREMENT_01.parquet``; empty: none."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    for path in files:
        name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
        stem, bare = name.split(".")[0], re.sub(r"[-_]?\d+$", "", name.split(".")[0])
        table = stem if stem in ALL_TABLES else bare if bare in ALL_TABLES else path.parent.name.lower()
        yield (table if table in ALL_TABLES and name.endswith(ENDS) else ""), path


def _texts(table: str, found: list[tuple[str, Path]]) -> Iterator[dict[str, str | None]]:
    """The rows of a table with every cell as text."""
    for path in (path for name, path in found if name == table):
        with TableFile(path=path, told=f"the table '{table}'").batches() as (_, _, batches):
            for batch in batches:
                small = batch.rows.rename(str.lower).with_columns(pl.all().cast(pl.String))
                yield from small.iter_rows(named=True)


def _places(found: list[tuple[str, Path]]) -> dict[str, dict[str, str | None]]:
    return {row["location_id"] or "": row for row in _texts(LOCATION, found) if row.get("location_id")}


def _people(
    found: list[tuple[str, Path]], places: Mapping[str, Mapping[str, str | None]]
) -> dict[str, KnownPatient]:
    people = {}
    for row in _texts(PERSON, found):
        person = known_row({**places.get(row.get("location_id") or "", {}), **row}, OMOP_PERSON)
        people[person.number] = person
    return people


class _OmopPass:
    """One table on its way."""

    def __init__(self, passing: Passing, table: str, places: Mapping[str, Mapping[str, str | None]]) -> None:
        self.passing, self.table, self.places = passing, table, places
        self.columns = ColumnPassage(passing)
        self.lines = passing.policy.omop[table]
        self.of_patient = PERSON_KEY in COLUMNS[table]

    def file(self, path: Path, to: Path) -> None:
        """One file of it."""
        tally = self.passing.tally
        source = TableFile(path=path, told=f"the table '{self.table}'")
        target = self._target(path, to)
        with source.batches() as (_, mark, batches):
            if source.is_parquet:
                whole = ParquetSink(target)
                for batch in batches:
                    whole.write(self._passed(batch, target.name))
                whole.close()
            else:
                with packed(target) as stream:
                    sink: CsvSink | None = None
                    for batch in batches:
                        rows = self._passed(batch, target.name)
                        sink = sink or CsvSink(stream, rows.columns, mark)
                        sink.write(rows)
                    if sink:
                        sink.close()
        tally.files.append(target.name)

    def _target(self, path: Path, to: Path) -> Path:
        ends = (
            ".parquet" if path.suffix.lower() == ".parquet" else ".csv.gz" if path.suffix == ".gz" else ".csv"
        )
        number = 0
        while (target := to / f"{self.table}{f'_{number:03}' if number else ''}{ends}").exists():
            number += 1
        return target

    def _passed(self, batch: Batch, file: str) -> pl.DataFrame:
        tally, books = self.passing.tally, self.passing.books
        rows = batch.rows.rename(str.lower)
        tally.read[self.table] += rows.height + len(batch.broken)
        for line, reason in batch.broken:
            tally.reject(self.table, reason, (file, line))
        if self.of_patient:
            whole = (
                rows.filter(pl.col(PERSON_KEY).is_not_null()) if PERSON_KEY in rows.columns else rows.clear()
            )
            for _ in range(rows.height - whole.height):
                tally.reject(self.table, NO_PATIENT, (file, 0))
            rows = whole
        for name in rows.columns:
            if name not in self.lines:
                there = rows.height - rows[name].null_count()
                known = name if name in COLUMNS[self.table] else UNKNOWN
                books.add(f"{self.table}.{known}", Fate.REMOVED, there)
        out = self._columns(rows)
        tally.written[self.table] += rows.height
        for row in out.head(3).iter_rows(named=True):
            tally.show(
                self.table, ", ".join(f"{name}: {cell}" for name, cell in row.items() if cell is not None)
            )
        return out

    def _columns(self, rows: pl.DataFrame) -> pl.DataFrame:
        owners = (
            rows[PERSON_KEY].cast(pl.String)
            if self.of_patient
            else pl.Series([None] * rows.height, dtype=pl.String)
        )
        born = self._born(rows, owners) if self.table == PERSON else {}
        told: list[pl.Series] = []
        for name in rows.columns:
            rule = self.lines.get(name)
            if rule is None or rule.action is Action.REMOVE:
                continue
            plan = ColumnPlan(
                name=name,
                place=f"{self.table}.{name}",
                action=rule.action,
                kind=id_kind(name),
                as_number=True,
            )
            told.append(born[name] if name in born else self._column(rows[name], owners, plan))
        out = pl.DataFrame(told)
        if self.table == PERSON:
            out = self._not_standing_out(out, owners)
            self._note(rows, out, owners)
        return self._without_old(out)

    def _column(self, cells: pl.Series, owners: pl.Series, plan: ColumnPlan) -> pl.Series:
        if plan.action is Action.KEEP:
            return self.columns.column(cells, owners, plan)
        was, texts = cells.dtype, cells
        if was != pl.String:
            texts = (
                cells.dt.to_string("%Y-%m-%d %H:%M:%S")
                if isinstance(was, pl.Datetime)
                else cells.cast(pl.String)
            )
        passed = self.columns.column(texts, owners, plan)
        if was == pl.String:
            return passed
        if plan.action is Action.PSEUDONYM:
            return passed.cast(pl.Int64)
        if isinstance(was, pl.Datetime):
            again = passed.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).cast(was)
        else:
            again = (
                passed.cast(was, strict=False)
                if was != pl.Date
                else passed.str.to_date("%Y-%m-%d", strict=False)
            )
        return (
            again if again.null_count() == passed.null_count() else passed
        )  # a year alone is no date: it stays text

    def _born(self, rows: pl.DataFrame, owners: pl.Series) -> dict[str, pl.Series]:
        """Year, month and day of birth pass together, as the one date that they are."""
        named = [name for name in BORN if name in rows.columns and name in self.lines]
        told: dict[str, list[int | None]] = {name: [] for name in named}
        cells = [
            rows[name].cast(pl.String).to_list() if name in rows.columns else [None] * rows.height
            for name in BORN
        ]
        for owner, *parts in zip(owners, *cells, strict=True):
            written = "-".join(part.zfill(2) for part in _until_missing(parts))
            passed, fate = (
                self.passing.birth_date(written, self.passing.whose(owner))
                if written
                else (None, Fate.REMOVED)
            )
            numbers = [int(part) for part in passed.split("-")] if passed else []
            for place, name in enumerate(BORN):
                if name in told:
                    told[name].append(numbers[place] if place < len(numbers) else None)
                    if parts[place]:
                        is_told = place < len(numbers)
                        self.passing.books.add(f"{PERSON}.{name}", fate if is_told else Fate.REMOVED)
        return {
            name: pl.Series(name, values, dtype=pl.Int64).cast(
                pl.String if rows[name].dtype == pl.String else pl.Int64
            )
            for name, values in told.items()
        }

    def _not_standing_out(self, out: pl.DataFrame, owners: pl.Series) -> pl.DataFrame:
        """Take the quasi-identifiers of those out whose group is too small."""
        if not self.passing.suppressed:
            return out
        for column, name in {**STANDING_OUT, "location_id": "postcode"}.items():
            if column in out.columns:
                gone = pl.Series([self.passing.loses(name, self.passing.whose(owner)) for owner in owners])
                nothing = pl.lit(None if column == "location_id" else NOTHING).cast(out.schema[column])
                out = out.with_columns(pl.when(gone).then(nothing).otherwise(pl.col(column)).alias(column))
                self.passing.books.add(f"{PERSON}.{column} (too few alike)", Fate.REMOVED, int(gone.sum()))
        return out

    def _note(self, rows: pl.DataFrame, out: pl.DataFrame, owners: pl.Series) -> None:
        if self.passing.policy.risk is None:
            return
        for owner, before, after in zip(
            owners, rows.iter_rows(named=True), out.iter_rows(named=True), strict=True
        ):
            whose = self.passing.whose(owner)
            code = self.places.get(str(before.get("location_id")), {}).get("zip")
            passed = self.passing.postcode(code, whose)[0] if code else None
            self.passing.note_quasi(
                whose, {**_quasi(before), "postcode": code}, {**_quasi(after), "postcode": passed}
            )

    def _without_old(self, out: pl.DataFrame) -> pl.DataFrame:
        """A value in years above the highest age that is told does not pass."""
        oldest = self.passing.policy.rules.oldest
        if oldest is None or not {"value_as_number", "unit_concept_id"} <= set(out.columns):
            return out
        old = (pl.col("unit_concept_id").cast(pl.String) == YEAR_UNIT) & (
            pl.col("value_as_number").cast(pl.Float64, strict=False) >= oldest + 1
        )
        count = int(out.select(old.fill_null(False).sum()).item())
        self.passing.books.add(f"{self.table}.value_as_number (age)", Fate.REMOVED, count)
        return out.with_columns(
            pl.when(old.fill_null(False))
            .then(None)
            .otherwise(pl.col("value_as_number"))
            .alias("value_as_number")
        )


def _until_missing(parts: list[str | None]) -> Iterator[str]:
    for part in parts:
        if not part:
            return
        yield part


def _quasi(row: Mapping[str, object]) -> dict[str, object]:
    told = {name: row.get(column) for column, name in STANDING_OUT.items()}
    shown = {name: value for name, value in told.items() if value is not None and str(value) != NOTHING}
    return {**shown, "birth_year": row.get("year_of_birth")}
