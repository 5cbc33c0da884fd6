"""What a ``source.yaml`` says: how a folder of CSV files is a set of patients' timelines, and back again.

The same declaration serves both directions: ``salus ingest`` reads the files by it, ``salus export`` writes a
timeline as the same files. Every key (anything else is refused, with the nearest valid name):

    name: nafld-cohort             # short name
    title: ...                     # one line for people
    licence: ...                   # of the data
    cite: ...                      # whom to cite
    input: data                    # folder of the files; relative to this file, $VARIABLES are filled in
    fetch: cohort                  # `salus fetch NAME` gets them
    time:
      zero: 2000-01-01T00:00:00    # relative times count from here, the same for everyone; left out: absolute
      grain: day                   # resolution of the source's times: day, minute or second
      zone: Europe/Madrid          # of absolute times that do not say theirs (left out: UTC)
    anchor: COHORT//ENTRY          # the code that happens to every subject at time zero
    patients: nafld1               # table that lists the patients; rows about anybody else are rejected
    missing: ["", NA]              # cells that mean "not recorded", in every column
    splits:
      seed: 20                     # the split is a hash of seed and subject, so it never moves
      shares: {train: 0.7, tuning: 0.1, held_out: 0.2}
    tables:
      NAME:
        files: [nafld1.csv]        # plain, .gz, .zst or .parquet; or [{name: set-b.csv.gz, splits: [held_out]}]:
                                   # a file's subjects go to its splits only (and back from them on export)
        row: COHORT//ENTRY         # each row is itself this event, at its time (else at time zero)
        first_row: COHORT//FIRST   # with `time: order`: what a patient's first row is instead
        join:                      # columns of other files, found by a key that each holds once
          visits.csv: {by: visit_nr, key: nr, columns: [patient, admitted]}  # left out, `key` is as `by`
        columns:                   # all columns, in the file's order, each with exactly one use:
          rownames: {row_number: true}              # numbered 1, 2, 3 … on export, not read
          id: {subject: true}                       # the patient, a whole number
          days: {time: day}                         # relative: day, hour, minute, second, or clock "hh:mm";
                                                    # absolute: a pattern such as "%Y-%m-%d"
          visit: {time: order}                      # wide table: a whole number that only orders a patient's rows
          seen: {known_time: day}                   # when staff could see it (assumed = time when left out)
          test: {variable: true}                    # long table: which fact this row is (see facts)
          value: {value: true}                      # long table: its value
          unit: {unit: true}                        # long table: its unit, converted to the code's unit
          note: {ignore: why, write: empty}         # not read; export writes empty, subject or row_number
          weight: {code: LOINC//29463-7}            # wide table: a fact a column (all keys of facts below)
          futime: {moment: end, unit: day}          # wide table: when the facts `at: end` happen
          diagnosis: {each: ICD9}                   # a category: cell 250.83 becomes ICD9//250.83
        facts:                     # long table: what each value of the variable column means
          hdl: {code: LOINC//2085-9}                # a number (where the table has a value column)
          smoke: {values: {0: SMOKING//0, 1: SMOKING//1}}   # a category: the value chooses the code
    codes:
      LOINC//2085-9: {description: HDL cholesterol, unit: mg/dL, decimals: 0,
                      low: 5, high: 150, range_source: who says so, parents: [LOINC/2085-9], role: event}
      ICD9//*: {description: "ICD-9 {}", root: '^([^.]+)[.]'}        # any cell of `each: ICD9`; {}: the cell

Keys of a fact: ``code`` (a number, or the mere event in a table without values), ``values`` (cell → code),
``each: PREFIX`` (cell → PREFIX//cell), ``only: [cells]`` (``each`` of these only),
``static: true`` (true of the patient at all times), ``age: true`` (years at time zero → MEDS_BIRTH),
``in: "[lb_av]"`` (a number's own unit in UCUM, converted to the code's; where no column tells the unit),
``later: 1`` (wide table: becomes true and known so many grains after its row's time),
``is_subject: true`` (the cell repeats the patient's id; writes ``code``), ``at: MOMENT``,
``missing: [-1]`` and ``missing_below: 0`` (cells that mean "not recorded" here), ``always: true`` (export
writes the row at time zero for everyone, with the first ``missing`` cell where there is no fact).

Keys of a moment: ``moment``, ``unit``, ``missing``, ``missing_below``, ``earliest: "48:02"`` (never
before this; hh:mm after time zero), ``otherwise: "48:01"`` (where not recorded), ``after: MOMENT`` (at
least one grain later than that one), ``code`` (the event that happens then, where recorded) and
``unless: {COLUMN: CELL}``. Every time so moved or assumed is counted in the books.

Categories: give all of one column one prefix (RACE//…), so that they are read as one field of which a moment
holds one. ``each`` takes the cells whose codes are listed; an entry ``PREFIX//*`` describes any other, and
without ``only`` lets any other in: for lists of codes, never for names or free text, since what is found stands
in ``metadata/codes.parquet``. Where ``root`` matches a cell, PREFIX//(its first group) is the code's parent. A
cell that cannot be part of a code (empty, over 64 characters, //, control characters, a space or / at an end)
rejects its row. Write YAML's own words in quotes: "No", "NO", "Yes", "<30", "[70-80)".

Joins: each line of ``join`` adds columns of a file that lies beside the table's own, one after the other, so that a
later one may go ``by`` a column that an earlier one brought. The columns it brings are declared under ``columns``
like the rest; others of that file are not read. A row whose key is not there, or is there more than once, is rejected.
What was joined cannot be written back as these files: ``salus export --as`` writes other forms.

Parquet: numbers, dates and texts are taken as the cells of a CSV file would be; a column of times is written by the
pattern that its declaration gives. ``line`` is the row's number, from 1.

Rows in order only: the k-th row (k = 0, 1, …) of a patient, counted among the rows that are kept, happens 2k
grains after time zero, so that what is ``later: 1`` lies between two rows. Such times are an order and no
distances, and the timeline says so (``order_only``). Export numbers the rows of a file 1, 2, 3 …, in
order within each patient; the source's own numbers are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

ORDER = "order"
"""The form of a time column that only orders a patient's rows."""

ROWS_APART = 2
"""Grains between two such rows: room for what is known one grain later."""


class Grain(StrEnum):
    """How finely the source tells time."""

    DAY = "day"
    MINUTE = "minute"
    SECOND = "second"

    @property
    def step(self) -> timedelta:
        """The shortest time between two moments the source can tell apart."""
        return {"day": timedelta(days=1), "minute": timedelta(minutes=1), "second": timedelta(seconds=1)}[
            self.value
        ]


class Use(StrEnum):
    """What a column is for."""

    SUBJECT = "subject"
    TIME = "time"
    KNOWN_TIME = "known_time"
    VARIABLE = "variable"
    VALUE = "value"
    UNIT = "unit"
    ROW_NUMBER = "row_number"
    IGNORE = "ignore"
    FACT = "fact"
    MOMENT = "moment"


class Written(StrEnum):
    """What export writes into a column that is not read."""

    EMPTY = "empty"
    SUBJECT = "subject"
    ROW_NUMBER = "row_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRecorded:
    """Cells that mean "not recorded" in one column or fact, beside those of the whole source."""

    cells: tuple[str, ...] = ()
    below: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one column (wide) or one value of the variable column (long) says about a patient.

    ``each`` is the prefix of an open category: its ``values`` are found in the files, or in a timeline's codes.
    ``unit``: what the cells are in, where that is not the code's unit.
    """

    name: str
    code: str = ""
    values: tuple[tuple[str, str], ...] = ()
    each: str = ""
    unit: str = ""
    later: int = 0
    static: bool = False
    age: bool = False
    is_subject: bool = False
    at: str = ""
    missing: NotRecorded = NotRecorded()
    always: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code this fact can become."""
        return tuple(dict.fromkeys(code for _, code in self.values)) or (self.code,)

    @property
    def is_category(self) -> bool:
        """Whether the cell chooses the code (else it is a number, or the mere event)."""
        return bool(self.values or self.each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A column that says when other facts of its row happen."""

    name: str
    unit: str
    missing: NotRecorded = NotRecorded()
    earliest: timedelta | None = None
    otherwise: timedelta | None = None
    after: str = ""
    code: str = ""
    unless: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a file and its one use."""

    name: str
    use: Use
    form: str = ""
    fact: Fact | None = None
    moment: Moment | None = None
    reason: str = ""
    write: Written = Written.EMPTY


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a table; ``splits`` empty: its subjects may be in any split."""

    name: str
    splits: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """The name without its endings: the first half of an event's ``source``."""
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Columns of another file: those of its one row whose ``key`` is what the table's row holds in ``by``."""

    file: str
    by: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One or more files with the same columns; ``joins`` bring some of them from elsewhere."""

    name: str
    files: tuple[SourceFile, ...]
    columns: tuple[Column, ...]
    facts: tuple[Fact, ...] = ()
    row_code: str = ""
    first_row_code: str = ""
    joins: tuple[Join, ...] = ()

    @property
    def joined(self) -> tuple[str, ...]:
        """The columns that other files bring."""
        return tuple(name for join in self.joins for name in join.columns)

    @property
    def row_codes(self) -> tuple[str, ...]:
        """The codes that a row itself can be."""
        return tuple(filter(None, (self.row_code, self.first_row_code)))

    @property
    def order(self) -> str:
        """The column that only orders a patient's rows; empty where there is none."""
        return next((column.name for column in self.columns if column.form == ORDER), "")

    @property
    def is_long(self) -> bool:
        """One fact a row (else: one patient a row)."""
        return bool(self.facts)

    def column(self, use: Use) -> Column | None:
        """The first column with this use."""
        return next((column for column in self.columns if column.use is use), None)

    @property
    def subject(self) -> str:
        """The name of the column that says whose row it is."""
        return next(column.name for column in self.columns if column.use is Use.SUBJECT)

    @property
    def moments(self) -> tuple[tuple[str, Moment], ...]:
        """Column name and moment, for each column that says when."""
        return tuple((column.name, column.moment) for column in self.columns if column.moment)

    @property
    def column_facts(self) -> tuple[Fact, ...]:
        """The facts that have a column each (wide tables)."""
        return tuple(column.fact for column in self.columns if column.fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """How patients are divided: a hash of seed and subject against the shares."""

    seed: int
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEntry:
    """What is known of one code: name, unit, plausible range and who says so."""

    code: str
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    range_source: str = ""
    decimals: int | None = None
    parents: tuple[str, ...] = ()
    role: str = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFamily:
    """What is known of every code ``prefix//cell`` that is not listed itself."""

    prefix: str
    description: str
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A whole ``source.yaml``."""

    path: Path
    digest: str
    name: str
    title: str
    licence: str
    cite: str
    input: str
    fetch: str
    zero: datetime | None
    grain: Grain
    zone: str
    anchor: str
    patients: str
    missing: tuple[str, ...]
    splits: SplitRule
    tables: tuple[Table, ...]
    codes: tuple[CodeEntry, ...]
    families: tuple[CodeFamily, ...] = ()

    @property
    def order_only(self) -> bool:
        """Whether its times are only an order of each patient's rows."""
        return any(table.order for table in self.tables)

    def table(self, name: str) -> Table:
        """The table of this name."""
        return next(table for table in self.tables if table.name == name)

    def entry(self, code: str) -> CodeEntry:
        """What is known of ``code``."""
        return next(entry for entry in self.codes if entry.code == code)
