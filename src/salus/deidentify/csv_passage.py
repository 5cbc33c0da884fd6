"""CSV files through a policy that lists their columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from salus.deidentify.column_passage import ColumnPassage, ColumnPlan
from salus.deidentify.fhir_passage import FILE, packed
from salus.deidentify.field_books import Fate
from salus.deidentify.known_patient import known_row
from salus.deidentify.omop_names import PATIENT
from salus.deidentify.passing import NO_PATIENT, Passing
from salus.deidentify.policy import Action, CsvTable
from salus.deidentify.table_files import Batch, CsvSink, TableFile
from salus.errors import ColumnMissing, InputEmpty

ENDS = (".csv", ".tsv", ".txt")
OTHERS = "(other columns)"
ROLES = {Action.BIRTH_DATE: "birth_date", Action.POSTCODE: "address"}


def pass_csv(source: Path, to: Path, passing: Passing, advance: Callable[[float], None]) -> None:
    """Write every file that the policy names into the folder ``to``; a file of another name stays out."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    tables = passing.policy.csv
    if not any(table_of(path) in tables for path in files):
        raise InputEmpty(
            "there is no file that the policy names",
            where="policy, csv",
            fix=f"the policy names: {', '.join(f'{name}.csv' for name in tables)}",
        )
    for path in files:
        name = table_of(path)
        if name in tables:
            _CsvPass(passing, name, tables[name]).file(path, to)
        else:
            passing.tally.read[FILE] += 1
            passing.tally.left_out[FILE] += 1
        advance(float(path.stat().st_size))


def table_of(path: Path) -> str:
    """The table that a file's name says: ``stays.csv.gz`` is stays."""
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    return name.rpartition(".")[0] if name.lower().endswith(ENDS) else ""


class _CsvPass:
    def __init__(self, passing: Passing, name: str, table: CsvTable) -> None:
        self.passing, self.name, self.table = passing, name, table
        self.columns = ColumnPassage(passing)
        self.plans = [
            ColumnPlan(
                name=column,
                place=f"{name}.{column}",
                action=rule.action,
                kind=PATIENT if column == table.patient else column,
            )
            for column, rule in table.columns.items()
        ]

    def file(self, path: Path, to: Path) -> None:
        """One file."""
        target = to / f"{self.name}.csv{'.gz' if path.suffix == '.gz' else ''}"
        source = TableFile(path=path, told=f"the table '{self.name}'", delimiter=self.table.delimiter)
        with source.batches() as (names, mark, batches), packed(target) as stream:
            self._check(names)
            shown = [plan.name for plan in self.plans if plan.action is not Action.REMOVE]
            sink = CsvSink(stream, shown, mark)
            for batch in batches:
                sink.write(self._passed(batch, target.name).select(shown))
            sink.close()
        self.passing.tally.files.append(target.name)

    def _check(self, names: tuple[str, ...]) -> None:
        wanted = [*(plan.name for plan in self.plans), *([self.table.patient] if self.table.patient else [])]
        for name in wanted:
            if name not in names:  # the file's own words are not repeated: its first line may be a patient's
                raise ColumnMissing(
                    f"the table '{self.name}' has no column '{name}'",
                    where=f"policy, csv.{self.name}",
                    fix="correct the policy, or give the file a header line",
                )

    def _passed(self, batch: Batch, file: str) -> pl.DataFrame:
        passing, tally, patient = self.passing, self.passing.tally, self.table.patient
        tally.read[self.name] += batch.rows.height + len(batch.broken)
        for line, reason in batch.broken:
            tally.reject(self.name, reason, (file, line))
        rows = batch.rows.filter(pl.col(patient).is_not_null()) if patient else batch.rows
        for _ in range(batch.rows.height - rows.height):
            tally.reject(self.name, NO_PATIENT, (file, 0))
        owners = rows[patient] if patient else pl.Series([None] * rows.height, dtype=pl.String)
        if passing.wants_known and patient:
            self._know(rows)
        named = {plan.name for plan in self.plans}
        others = [name for name in rows.columns if name not in named]
        passing.books.add(f"{self.name}.{OTHERS}", Fate.REMOVED, rows.height * len(others))
        out = pl.DataFrame([self.columns.column(rows[plan.name], owners, plan) for plan in self.plans])
        tally.written[self.name] += rows.height
        for row in out.head(3).iter_rows(named=True):
            tally.show(
                self.name, ", ".join(f"{name}: {cell}" for name, cell in row.items() if cell is not None)
            )
        return out

    def _know(self, rows: pl.DataFrame) -> None:
        """What the row itself says of its patient: enough to find them in a text of the same row."""
        roles = {plan.name: ROLES[plan.action] for plan in self.plans if plan.action in ROLES}
        roles |= {plan.name: "identifier" for plan in self.plans if plan.action is Action.PSEUDONYM}
        roles |= {plan.name: "name" for plan in self.plans if plan.action is Action.REMOVE}
        roles[self.table.patient] = "number"
        known = self.passing.known
        for row in rows.iter_rows(named=True):
            person = known_row(row, roles)
            known[person.number] = known.get(person.number, person).joined(person)
        self.passing.forget()
