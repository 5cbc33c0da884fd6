"""OMOP tables in a folder of CSV or Parquet files, or in a DuckDB file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from salus.errors import InputMissing, InputUnreadable
from salus.formats.omop import ALL_TABLES, PERSON, VOCABULARY
from salus.intake.omop_csv import Scratch, csv_header, csv_scan, staged
from salus.intake.omop_place import OmopPlace, OmopSource, Relation, relation
from salus.intake.sql_cells import file_list, literal, quote

FORMS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet"}
PACKED = (".gz", ".zst")


@dataclass(slots=True)
class _Found:
    """Files by the table that their names tell, and names that tell none."""

    tables: dict[str, list[Path]] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)


def open_duckdb_file(path: Path, place: OmopPlace, scratch: Scratch) -> OmopSource:
    """Attach a DuckDB file, for reading only."""
    db = scratch.db
    try:
        db.execute(f"ATTACH {literal(str(path))} AS cdm (READ_ONLY)")
    except duckdb.Error as error:
        raise InputUnreadable(
            f"'{path.name}' is no DuckDB file, or another program has it open",
            where=str(path),
            fix="close the other program, or export the tables as Parquet",
        ) from error
    rows = db.execute(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'cdm' ORDER BY 1, 2"
    ).fetchall()
    schema = chosen_schema(rows, place, where=str(path))
    names = [str(name) for told, name in rows if told == schema]
    known = {
        name.lower(): f"cdm.{quote(schema)}.{quote(name)}" for name in names if name.lower() in ALL_TABLES
    }
    return OmopSource(
        db=db,
        relations={name: relation(db, sql, name=name, where=str(path)) for name, sql in known.items()},
        strange=tuple(name for name in names if name.lower() not in ALL_TABLES),
    )


def chosen_schema(rows: Iterable[tuple[str, str]], place: OmopPlace, *, where: str) -> str:
    """The schema that holds ``person``: the one that was named, or the only one."""
    found = [schema for schema, name in rows if name.lower() == PERSON]
    if place.schema:
        found = [schema for schema in found if schema == place.schema]
    if len(found) != 1:
        said = f" in schema '{place.schema}'" if place.schema else ""
        raise InputMissing(
            f"{len(found) or 'no'} tables named 'person'{said}",
            where=where,
            fix=f"say in which schema the tables are (schemas with one: {', '.join(found) or 'none'})",
        )
    return found[0]


def open_folder(folder: Path, scratch: Scratch, *, needed: str = PERSON) -> OmopSource:
    """Read Parquet where it lies; bring CSV into the scratch database once, the broken lines set aside."""
    found = _find(folder)
    if needed not in found.tables:
        raise InputMissing(
            f"there is no table '{needed}' among the files",
            where=str(folder),
            fix=f"name the folder that holds {needed}.csv or {needed}.parquet beside the other tables",
        )
    relations: dict[str, Relation] = {}
    broken: dict[str, pl.DataFrame] = {}
    for name, paths in found.tables.items():
        forms = {_form(path) for path in paths}
        if len(forms) > 1:
            raise InputUnreadable(
                f"table '{name}' is there both as CSV and as Parquet",
                where=str(folder),
                fix="keep one of the two, or say which folder",
            )
        if forms == {"parquet"}:
            relations[name] = _parquet(name, paths, scratch.db)
        elif name in VOCABULARY:
            relations[name] = relation(
                scratch.db, csv_scan(paths, csv_header(paths[0])), name=name, where=str(folder)
            )
        else:
            relations[name], broken[name] = staged(name, paths, scratch)
    return OmopSource(db=scratch.db, relations=relations, broken=broken, strange=tuple(found.strange))


def _find(folder: Path) -> _Found:
    """``measurement.csv``, ``MEASUREMENT_01.parquet``, ``measurement/part-0.parquet``."""
    found = _Found()
    for path in sorted(folder.iterdir()):
        inside = [inner for inner in sorted(path.rglob("*")) if _form(inner)] if path.is_dir() else [path]
        name = path.name.lower().split(".")[0]
        bare = re.sub(r"[-_]?\d+$", "", name)
        table = name if name in ALL_TABLES else bare
        if table in ALL_TABLES and inside and all(map(_form, inside)):
            found.tables.setdefault(table, []).extend(inside)
        elif any(map(_form, inside)):
            found.strange.append(path.name)
    return found


def _form(path: Path) -> str:
    ending = Path(path.stem).suffix if path.suffix.lower() in PACKED else path.suffix
    return FORMS.get(ending.lower(), "") if path.is_file() else ""


def _parquet(name: str, paths: list[Path], db: duckdb.DuckDBPyConnection) -> Relation:
    sql = f"read_parquet({file_list(paths)}, union_by_name = true)"
    try:
        return relation(db, sql, name=name, where=str(paths[0].parent))
    except duckdb.Error as error:
        raise InputUnreadable(
            f"a file of table '{name}' is cut short or not Parquet",
            where=str(paths[0].parent),
            fix="copy or export the files again",
        ) from error
