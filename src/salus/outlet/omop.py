"""A timeline as the tables of OMOP 5.4: CSV files, Parquet files or one DuckDB file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol

import duckdb
import polars as pl
import pyarrow.parquet as pq

from salus.formats.categories import BETWEEN
from salus.formats.omop import PERIOD, PERSON, PERSON_LABEL
from salus.formats.omop_codes import OMOP, SYNTHETIC, Concept
from salus.formats.omop_columns import CDM_SOURCE, COLUMNS_5_4, CONCEPT, RELATIONSHIP, VERSION, sql_type
from salus.outlet.omop_places import Numbering, places
from salus.outlet.omop_rows import Keys, omop_rows
from salus.outlet.omop_values import whole_rows
from salus.timeline.settings import TimelineSettings
from salus.units import KNOWN_UNITS

FORMS = ("csv", "parquet", "duckdb")
DUCKDB_FILE = "omop.duckdb"
UCUM = "UCUM"
KIND_OF = "Is a"
FOREVER = ("1970-01-01", "2099-12-31")
ABOUT_SYNTHETIC = (
    "SYNTHETIC DATA. No row in these tables is a real person's. Made by a model; not for clinical use."
)
DRAWN_KIND = f"SALUS{BETWEEN}{SYNTHETIC}"
KIND_DOMAIN, ABOUT_KIND = "Type Concept", "SYNTHETIC: drawn by a model, no real patient"
READ_AS_CODES = ("note", PERIOD)
"""Tables whose rows mean something by their type: theirs stays, and the person says whose they are."""
REAL = "Written from a timeline of real patients' records."


class Writer(Protocol):
    """Where rows of tables go."""

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """Append rows to a table."""
        ...


@dataclass(slots=True)
class _CsvWriter:
    folder: Path
    stack: ExitStack
    open: dict[str, IO[bytes]] = field(default_factory=dict)

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """Append rows; the first come with a header."""
        first = name not in self.open
        if first:
            self.open[name] = self.stack.enter_context((self.folder / f"{name}.csv").open("wb"))
        rows.write_csv(
            self.open[name],
            include_header=first,
            datetime_format="%Y-%m-%d %H:%M:%S%.6f",
            quote_style="necessary",
        )


@dataclass(slots=True)
class _ParquetWriter:
    folder: Path
    stack: ExitStack
    open: dict[str, pq.ParquetWriter] = field(default_factory=dict)

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """Append rows as a row group."""
        table = rows.to_arrow()
        if name not in self.open:
            path = self.folder / f"{name}.parquet"
            self.open[name] = self.stack.enter_context(
                pq.ParquetWriter(path, table.schema, compression="zstd")
            )
        self.open[name].write_table(table)


@dataclass(slots=True)
class _DuckdbWriter:
    db: duckdb.DuckDBPyConnection
    made: set[str] = field(default_factory=set)

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """Append rows to the table, which is made first where it is not there."""
        if name not in self.made:
            columns = ", ".join(f"{column} {sql_type(column)}" for column in COLUMNS_5_4[name])
            self.db.execute(f"CREATE TABLE {name} ({columns})")
            self.made.add(name)
        self.db.register("rows_to_add", rows)
        self.db.execute(f"INSERT INTO {name} SELECT * FROM rows_to_add")
        self.db.unregister("rows_to_add")


@contextmanager
def open_writer(folder: Path, form: str) -> Iterator[Writer]:
    """Write into ``folder`` in one of the ``FORMS``."""
    with ExitStack() as stack:
        if form == "duckdb":
            yield _DuckdbWriter(stack.enter_context(duckdb.connect(str(folder / DUCKDB_FILE))))
        elif form == "parquet":
            yield _ParquetWriter(folder, stack)
        else:
            yield _CsvWriter(folder, stack)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What must be known of a timeline before its events are gone through: codes, units, ids already used."""

    codes: pl.DataFrame
    met: list[str]
    units: list[str]
    highest: Mapping[str, int]
    settings: TimelineSettings
    known: Mapping[str, Concept] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OmopBooks:
    """Rows by table, events written, and by code and reason those that no row says."""

    rows: Mapping[str, int]
    events: int
    written: int
    not_expressible: Mapping[tuple[str, str], int]


def write_omop(frames: Iterable[pl.DataFrame], contents: Contents, writer: Writer) -> OmopBooks:
    """Write the events, which come in frames of whole patients, then the vocabulary and what the source is."""
    numbering = Numbering(contents.codes, contents.known)
    where = places(contents.codes, contents.met, numbering)
    units = {
        unit: numbering.number(f"{UCUM}{BETWEEN}{unit}", "Unit")
        for unit in contents.units
        if unit in KNOWN_UNITS or f"{UCUM}{BETWEEN}{unit}" in contents.known
    }
    synthetic = contents.settings.synthetic
    drawn = _drawn_kind(numbering) if synthetic else 0
    keys = Keys({name: number + 1 for name, number in contents.highest.items()})
    rows: dict[str, int] = {}
    left_out: dict[tuple[str, str], int] = {}
    events = written = 0
    for frame in frames:
        made = omop_rows(_by_local_clocks(frame, contents.settings.zone), where, units, keys=keys)
        for name, table in made.tables.items():
            writer.add(name, _marked(name, table, drawn))
            rows[name] = rows.get(name, 0) + table.height
        for said, count in made.left_out.items():
            left_out[said] = left_out.get(said, 0) + count
        events, written = events + frame.height, written + made.written
    for name, table in _around(numbering, contents).items():
        writer.add(name, table)
        rows[name] = table.height
    return OmopBooks(rows=rows, events=events, written=written, not_expressible=left_out)


def _by_local_clocks(events: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Times as the source's clocks showed them: OMOP has no zones."""
    local = pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return events if zone == "UTC" else events.with_columns(local)


def _drawn_kind(numbering: Numbering) -> int:
    """A concept of this site for the type of rows that a model drew: OMOP's own types have none."""
    number = numbering.number(DRAWN_KIND, "")
    told = replace(numbering.concepts[number], domain=KIND_DOMAIN, concept_class=KIND_DOMAIN, name=ABOUT_KIND)
    numbering.concepts[number] = told
    return number


def _marked(name: str, rows: pl.DataFrame, drawn: int) -> pl.DataFrame:
    """Say in each row what it is where it is synthetic: a person in words, others by the concept of their kind."""
    if not drawn or name in READ_AS_CODES:
        return rows
    if name == PERSON:
        return rows.with_columns(pl.lit(SYNTHETIC).alias(PERSON_LABEL))
    kinds = [column for column in rows.columns if column.endswith("_type_concept_id")]
    return rows.with_columns(pl.lit(drawn, dtype=pl.Int64).alias(column) for column in kinds)


def _around(numbering: Numbering, contents: Contents) -> dict[str, pl.DataFrame]:
    """The concepts that were used, what they are kinds of, and what the source is."""
    links = _links(numbering, contents)
    concepts = sorted(numbering.concepts.values(), key=lambda concept: concept.concept_id)
    settings = contents.settings
    return {
        CONCEPT: _dated(
            CONCEPT,
            pl.DataFrame(
                {
                    "concept_id": pl.Series([c.concept_id for c in concepts], dtype=pl.Int64),
                    "concept_name": [c.name for c in concepts],
                    "domain_id": [c.domain for c in concepts],
                    "vocabulary_id": [c.vocabulary for c in concepts],
                    "concept_class_id": [c.concept_class for c in concepts],
                    "standard_concept": [c.standard or None for c in concepts],
                    "concept_code": [c.code for c in concepts],
                }
            ),
        ),
        RELATIONSHIP: _dated(
            RELATIONSHIP,
            pl.DataFrame(
                links, schema={"concept_id_1": pl.Int64, "concept_id_2": pl.Int64}, orient="row"
            ).with_columns(relationship_id=pl.lit(KIND_OF)),
        ),
        CDM_SOURCE: whole_rows(
            CDM_SOURCE,
            pl.DataFrame(
                {
                    "cdm_source_name": [settings.name or "timeline"],
                    "cdm_source_abbreviation": [SYNTHETIC if settings.synthetic else "timeline"],
                    "source_description": [ABOUT_SYNTHETIC if settings.synthetic else REAL],
                    "cdm_version": [VERSION],
                }
            ),
        ),
    }


def _dated(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    dates = {"valid_start_date": FOREVER[0], "valid_end_date": FOREVER[1]}
    return whole_rows(
        name, rows.with_columns(pl.lit(day).str.to_date().alias(column) for column, day in dates.items())
    )


def _links(numbering: Numbering, contents: Contents) -> list[tuple[int, int]]:
    """What each concept is a kind of, upwards until nothing new is met."""
    links: dict[tuple[int, int], None] = {}
    waiting = list(numbering.given)
    while waiting:
        code = waiting.pop()
        for parent in numbering.parents.get(code) or ():
            if parent.partition(BETWEEN)[0] == OMOP:
                continue
            if parent not in numbering.given:
                waiting.append(parent)
            links[numbering.given[code], numbering.number(parent, "")] = None
    return sorted(links)
