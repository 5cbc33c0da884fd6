"""Read an OMOP common data model, 5.3 or 5.4: every row becomes events, or a rejection that says why.

Two passes, neither of which holds the data: one counts the ways in which rows say something (few), which gives codes,
units and books; one gives the events in order, sorted by DuckDB within its memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from salus.errors import InputMissing, InputUnreadable
from salus.formats.omop import CLINICAL, DERIVED, ELSEWHERE, PERSON, PERSON_LABEL
from salus.formats.omop_codes import DISCHARGED_TO, SYNTHETIC, Concept
from salus.intake.books import TableBooks
from salus.intake.omop_csv import Scratch
from salus.intake.omop_described import Described
from salus.intake.omop_events import dictionary, ordered_events
from salus.intake.omop_files import open_duckdb_file, open_folder
from salus.intake.omop_place import OmopPlace, OmopSource, scratch_database
from salus.intake.omop_postgres import is_postgres, open_postgres, shown
from salus.intake.omop_rows import ACCEPTED, Judged, judged_persons, judged_rows
from salus.intake.omop_sayings import At, Meanings, concepts_of, meanings
from salus.intake.omop_tally import Tally, rejections, tally, without_repeats
from salus.intake.omop_vocabulary import concepts_by_code, read_vocabulary
from salus.intake.pseudonym_table import write_pseudonyms
from salus.intake.sql_cells import as_text
from salus.progress import Progress

DUCKDB = (".duckdb", ".db", ".ddb")


@dataclass(frozen=True, slots=True, kw_only=True)
class OmopLabel:
    """Whether ``cdm_source`` says that all is synthetic, and how many of the persons say it of themselves."""

    said: bool
    marked: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OmopRead:
    """All that came of a source. ``events`` are sorted, and can be gone through once, while the source is open."""

    name: str
    events: Iterator[pl.DataFrame]
    codes: pl.DataFrame
    rejected: pl.DataFrame
    tables: tuple[TableBooks, ...]
    assumed_known_time: int
    noted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    label: OmopLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One table after the first pass."""

    judged: Judged
    tally: Tally
    broken: pl.DataFrame | None


def open_omop(place: OmopPlace, scratch: Path) -> OmopSource:
    """Open a folder, a DuckDB file or the URL of a PostgreSQL database; ``scratch`` is an empty folder for copies."""
    into = Scratch(scratch_database(scratch, processes=place.processes), scratch)
    if is_postgres(place.where):
        return open_postgres(place, into)
    path = Path(place.where)
    if path.is_dir():
        return open_folder(path, into)
    if path.is_file() and path.suffix.lower() in DUCKDB:
        return open_duckdb_file(path, place, into)
    is_there = path.exists()
    raise InputMissing(
        f"'{path.name}' is no OMOP source" if is_there else f"there is no file or folder '{path.name}'",
        where=place.where,
        fix=f"name a folder of CSV or Parquet files, a DuckDB file ({', '.join(DUCKDB)}), or postgresql://…",
    )


def read_concepts(folder: Path, codes: Iterable[str], scratch: Path) -> dict[str, Concept]:
    """Look codes up in a folder that holds ``concept``, such as a vocabulary that OHDSI's Athena gives."""
    if not folder.is_dir():
        raise InputMissing(
            f"there is no folder '{folder.name}'",
            where=str(folder),
            fix="name the folder that holds CONCEPT.csv",
        )
    db = scratch_database(scratch)
    try:
        return concepts_by_code(open_folder(folder, Scratch(db, scratch), needed="concept"), codes)
    finally:
        db.close()


def read_omop(source: OmopSource, place: OmopPlace, *, progress: Progress) -> OmopRead:
    """Count what the tables say, look it up in the vocabulary, and give the events in order."""
    try:
        with progress.step(
            "Counting what the tables say", total=len(source.relations), unit="tables"
        ) as step:
            tables = {PERSON: _persons(source, place)}
            step.advance()
            for table in (table for table in CLINICAL if table.name in source.relations):
                found = source.relations[table.name]
                judged = judged_rows(table, found.columns, found.sql, zone=place.zone)
                tables[table.name] = _counted(source, judged)
                step.advance()
        with progress.step("Looking up concepts"):
            met = {number for table in tables.values() for number in concepts_of(table.tally.sayings)}
            described = Described(read_vocabulary(source, met))
            meant = {name: meanings(name, table.tally.sayings, described) for name, table in tables.items()}
            return _read(source, tables, meant, described, place.key)
    except duckdb.Error as error:
        raise InputUnreadable(
            f"the tables cannot be read to the end ({type(error).__name__})",
            where=shown(place.where),
            fix="see that the files are whole and the disk of the output has space, then run it again",
        ) from error


def _persons(source: OmopSource, place: OmopPlace) -> _Table:
    found = source.relations[PERSON]
    table = _counted(source, judged_persons(found.columns, found.sql, zone=place.zone))
    source.db.execute(
        f"CREATE TABLE {ACCEPTED} AS SELECT person FROM ({table.judged.sql}) WHERE verdict IS NULL"
    )
    if place.key:
        write_pseudonyms(source.db, ACCEPTED, place.key)
    return table


def _counted(source: OmopSource, judged: Judged) -> _Table:
    whole = without_repeats(judged, source.db)
    return _Table(judged=whole, tally=tally(whole, source.db), broken=source.broken.get(judged.name))


def _read(
    source: OmopSource,
    tables: Mapping[str, _Table],
    meant: Mapping[str, Meanings],
    described: Described,
    key: bytes,
) -> OmopRead:
    rejected, books = [], []
    for name, table in tables.items():
        refused = rejections(table.judged, meant[name].nothing, source.db)
        lines = [refused] if table.broken is None else [refused, table.broken]
        rejected.append(pl.concat(lines))
        read = table.tally.rows + sum(part.height for part in lines[1:])
        events = sum(table.tally.events_of(meaning) for meaning in meant[name].found)
        books.append(
            TableBooks(
                name=name,
                read=read,
                kept=read - rejected[-1].height,
                rejected=rejected[-1].height,
                events=events,
                assumed_times={"birth": table.tally.ends} if name == PERSON and table.tally.ends else {},
            )
        )
    words = dictionary(meant, source.db)
    return OmopRead(
        name=_name(source),
        events=ordered_events([table.judged for table in tables.values()], words, source.db, key=key),
        codes=_codes(tables, meant, described),
        rejected=pl.concat(rejected),
        tables=tuple(books),
        assumed_known_time=sum(
            tables[name].tally.events_of(meaning)
            for name, made in meant.items()
            for meaning in made.found
            if meaning.at is not At.NEVER
        ),
        noted=_noted(source, tables, meant),
        label=_label(source),
    )


def _noted(
    source: OmopSource, tables: Mapping[str, _Table], meant: Mapping[str, Meanings]
) -> dict[str, dict[str, int]]:
    """How rows were mapped, by table; and the tables of a patient's history that are not read, with their rows."""
    for name, made in meant.items():
        for meaning in made.found:
            counted = tables[name].tally.counted[meaning.said]
            if meaning.code.startswith(DISCHARGED_TO) and counted.rows > counted.ends:
                made.mapped["where to, with no end to put it at"] += counted.rows - counted.ends
    noted = {name: dict(sorted(made.mapped.items())) for name, made in meant.items() if made.mapped}
    aside = {}
    for name in (*DERIVED, *ELSEWHERE):
        if name in source.relations:
            (rows,) = source.db.execute(f"SELECT count(*) FROM {source.relations[name].sql}").fetchall()
            aside[name] = int(rows[0])
    if aside:
        noted["not read"] = aside
    if source.strange:
        noted["no table of OMOP"] = dict.fromkeys(source.strange, 1)
    return noted


def _name(source: OmopSource) -> str:
    """What ``cdm_source`` calls the data."""
    return _of_source(source, "cdm_source_name") or "OMOP"


def _of_source(source: OmopSource, column: str) -> str:
    """A cell of the first row of ``cdm_source``; empty where there is none."""
    found = source.relations.get("cdm_source")
    if found is None or not found.columns.has(column):
        return ""
    rows = source.db.execute(f"SELECT {as_text(found.columns, column)} FROM {found.sql} LIMIT 1").fetchall()
    return str(rows[0][0]) if rows and rows[0][0] else ""


def _label(source: OmopSource) -> OmopLabel:
    found = source.relations[PERSON]
    own = as_text(found.columns, PERSON_LABEL)
    ((marked, people),) = source.db.execute(
        f"SELECT count(*) FILTER ({own} = '{SYNTHETIC}'), count(*) FROM {found.sql}"
    ).fetchall()
    said = _of_source(source, "cdm_source_abbreviation") == SYNTHETIC
    return OmopLabel(said=said, marked=int(marked), people=int(people))


def _codes(tables: Mapping[str, _Table], meant: Mapping[str, Meanings], described: Described) -> pl.DataFrame:
    """Descriptions, with each code's most frequent unit and the decimals that its values need."""
    met: set[str] = set()
    units: dict[str, Counter[str]] = {}
    decimals: dict[str, int] = {}
    for name, made in meant.items():
        for meaning in made.found:
            if tables[name].tally.events_of(meaning):
                met.add(meaning.code)
            needed, values = tables[name].tally.values_of(meaning)
            if values:
                decimals[meaning.code] = max(needed, decimals.get(meaning.code, 0))
                if meaning.unit:
                    units.setdefault(meaning.code, Counter())[meaning.unit] += values
    return described.frame(met, units, decimals)
