"""Read a MEDS data set as it is: what it does not say of units and known times is assumed, and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
from meds.schema import (
    code_metadata_filepath,
    data_subdirectory,
    dataset_metadata_filepath,
    subject_splits_filepath,
)

from salus.errors import ColumnMissing, InputMissing, InputUnreadable
from salus.formats.categories import BETWEEN
from salus.intake.books import TableBooks
from salus.intake.pseudonym_table import (
    PERSON,
    PSEUDONYMS,
    SUBJECT,
    hidden_names,
    numbers_of,
    write_pseudonyms,
)
from salus.intake.sql_cells import (
    Columns,
    as_moment,
    as_number,
    as_text,
    as_whole,
    columns_of,
    decimals_needed,
    file_list,
    filled,
    is_sane,
)
from salus.intake.whole_patients import whole_patients
from salus.progress import Progress
from salus.timeline.columns import BIRTH, CODE_COLUMNS, DEATH, REJECTED_COLUMNS, SPLITS, fit_columns
from salus.timeline.label import COMPLETED, DRAWN
from salus.timeline.settings import TimelineSettings, settings_from_json
from salus.units import KNOWN_UNITS, SPELLINGS

ROWS_A_BATCH = 1 << 18
NEEDED = ("subject_id", "time", "code")
ROLES = {BIRTH: "birth", DEATH: "death"}
REASONS = {
    "subject_id": "the patient's id is not a whole number",
    "code": "there is no code",
    "time": "the time cannot be read or is impossible",
    "known_time": "the known time cannot be read or is impossible",
    "numeric_value": "not a number that a 32-bit float can hold",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MedsRead:
    """All that came of a data set. ``events`` are sorted, and can be gone through once.

    ``marked``: rows that say that a model drew them, of those ``could_be_marked`` that say where they come from.
    """

    events: Iterator[pl.DataFrame]
    codes: pl.DataFrame
    rejected: pl.DataFrame
    books: TableBooks
    splits: pl.DataFrame | None
    settings: TimelineSettings
    assumed_known_time: int
    marked: int = 0
    could_be_marked: int = 0
    noted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _DataSet:
    """The files of a data set as SQL reads them."""

    folder: Path
    files: tuple[Path, ...]
    columns: Columns
    sql: str


def read_meds(
    folder: Path, db: duckdb.DuckDBPyConnection, *, key: bytes = b"", progress: Progress
) -> MedsRead:
    """Count what the rows say, then give them in order of patient and time; rows of one time stay in their order.

    With ``key`` patients and rows get numbers that only who has it can make again.
    """
    found = _open(folder, db)
    with progress.step("Counting what the rows say"):
        tally = _tally(found, db)
        rejected, (marked, of) = _rejections(found, db), _marked(found, db)
        if key:
            people = f"SELECT subject AS person FROM ({_judged(found)}) WHERE verdict IS NULL"
            write_pseudonyms(db, people, key)
    entries, noted = _entries(tally, _codes(folder))
    assumed = dict(entries.filter(pl.col("unit").is_not_null()).select("code", "unit").iter_rows())
    events = sum(met.rows for met in tally)
    return MedsRead(
        events=whole_patients(_frames(found, assumed, db, key)),
        codes=entries,
        rejected=rejected,
        books=TableBooks(
            name="events",
            read=events + rejected.height,
            kept=events,
            rejected=rejected.height,
            events=events,
        ),
        splits=_splits(folder, key),
        settings=_settings(folder),
        assumed_known_time=sum(met.assumed for met in tally),
        noted={"units": noted} if noted else {},
        marked=marked,
        could_be_marked=of,
    )


def _open(folder: Path, db: duckdb.DuckDBPyConnection) -> _DataSet:
    data = folder / data_subdirectory if (folder / data_subdirectory).is_dir() else folder
    files = tuple(sorted(path for path in data.rglob("*.parquet") if "metadata" not in path.parts))
    if not files:
        raise InputMissing(
            f"'{folder.name}' holds no Parquet files",
            where=str(folder),
            fix="name the folder of a MEDS data set: it has data/ and metadata/ in it",
        )
    sql = f"read_parquet({file_list(files)}, union_by_name = true, filename = true, file_row_number = true)"
    try:
        columns = columns_of(db, sql)
    except duckdb.Error as error:
        raise InputUnreadable(
            "a file is cut short or not Parquet", where=str(data), fix="copy or write the data set again"
        ) from error
    missing = [name for name in NEEDED if not columns.has(name)]
    if missing:
        raise ColumnMissing(
            f"the events have no column '{missing[0]}'",
            where=str(data),
            fix=f"MEDS wants {', '.join(NEEDED)}; the files have {', '.join(sorted(columns.types))}",
        )
    return _DataSet(folder, files, columns, sql)


def _judged(found: _DataSet) -> str:
    """SQL of the rows with the first reason why each cannot be kept. A NaN is no number, and no fault."""
    columns = found.columns
    number, nan = as_number(columns, "numeric_value"), _is_nan(columns)
    cells = {
        "subject": as_whole(columns, "subject_id"),
        "moment": as_moment(columns, "time", "UTC"),
        "known": f"coalesce({as_moment(columns, 'known_time', 'UTC')}, moment)",
        "known_told": f"{filled(columns, 'known_time')} IS NOT NULL"
        if columns.has("known_time")
        else "false",
        "code_said": as_text(columns, "code"),
        "number": f"CASE WHEN NOT {nan} THEN {number} END",
        "words": as_text(columns, "text_value"),
        "unit_said": as_text(columns, "unit"),
        "place": "file_row_number",
        "file": "filename",
        "origin": as_text(columns, "source"),
    }
    fails = {
        "subject_id": "subject IS NULL",
        "code": "code_said IS NULL",
        "time": f"({filled(columns, 'time')} IS NOT NULL AND moment IS NULL) OR NOT {is_sane('moment')}",
        "known_time": f"(known_told AND known IS NULL) OR NOT {is_sane('known')}",
        "numeric_value": f"number IS NULL AND {filled(columns, 'numeric_value')} IS NOT NULL AND NOT {nan}"
        if columns.has("numeric_value")
        else "false",
    }
    verdict = " ".join(f"WHEN {fails[reason]} THEN {place}" for place, reason in enumerate(REASONS))
    read = ", ".join(f"{sql} AS {alias}" for alias, sql in cells.items())
    return f"SELECT {read}, (CASE {verdict} END)::UTINYINT AS verdict FROM {found.sql}"


def _is_nan(columns: Columns) -> str:
    if not columns.has("numeric_value"):
        return "false"
    return f"coalesce(isnan(TRY_CAST({columns.quoted('numeric_value')} AS DOUBLE)), false)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """One code with one unit: rows, those with a number, decimals needed, and known times assumed."""

    code: str
    unit: str | None
    rows: int
    numbers: int
    decimals: int
    assumed: int


def _tally(found: _DataSet, db: duckdb.DuckDBPyConnection) -> list[_Met]:
    rows = db.execute(
        f"SELECT code_said, unit_said, count(*), count(number), max({decimals_needed('number')}),"
        f" count(*) FILTER (moment IS NOT NULL AND NOT known_told)"
        f" FROM ({_judged(found)}) WHERE verdict IS NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [
        _Met(code=code, unit=unit, rows=rows_, numbers=numbers, decimals=decimals, assumed=assumed)
        for code, unit, rows_, numbers, decimals, assumed in rows
    ]


def _rejections(found: _DataSet, db: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The refused rows as file, line, column and reason: never a value."""
    rows = db.execute(
        f"SELECT file, place + 1, verdict FROM ({_judged(found)}) WHERE verdict IS NOT NULL ORDER BY ALL"
    ).fetchall()
    reasons = list(REASONS.items())
    listed = [(_stem(Path(file), found), place, *reasons[verdict]) for file, place, verdict in rows]
    return pl.DataFrame(listed, schema=REJECTED_COLUMNS, orient="row")


def _marked(found: _DataSet, db: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """How many rows say that a model drew them, of those that say their source; what was completed is neither."""
    if not found.columns.has("source"):
        return 0, 0
    origin = as_text(found.columns, "source")
    ((marked, of),) = db.execute(
        f"SELECT count(*) FILTER (origin = '{DRAWN}'), count(*) FILTER (split_part(origin, '/', 1) <> '{COMPLETED}')"
        f" FROM (SELECT {origin} AS origin FROM {found.sql}) WHERE origin IS NOT NULL"
    ).fetchall()
    return int(marked), int(of)


def _stem(path: Path, found: _DataSet) -> str:
    return path.relative_to(found.folder).as_posix()


def _entries(tally: list[_Met], described: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """A description of each code, with the unit of its numbers; and how many numbers got theirs from where."""
    told = {row["code"]: row for row in described.iter_rows(named=True)}
    noted: Counter[str] = Counter()
    units: dict[str, Counter[str]] = {}
    decimals: dict[str, int] = {}
    for met in (met for met in tally if met.numbers):
        row = told.get(met.code) or {}
        unit, how = _unit(met, row.get("unit"))
        noted[how] += met.numbers
        decimals[met.code] = max(met.decimals, decimals.get(met.code, 0))
        if unit:
            units.setdefault(met.code, Counter())[unit] += met.numbers
    rows = []
    for code in sorted({met.code for met in tally} | set(told)):
        row = told.get(code) or {}
        usual = min(units[code], key=lambda unit: (-units[code][unit], unit)) if code in units else None
        rows.append(
            {
                **{name: row.get(name) for name in CODE_COLUMNS},
                "code": code,
                "description": row.get("description") or code,
                "parent_codes": row.get("parent_codes") or [],
                "role": row.get("role") or ROLES.get(code, "event"),
                "unit": row.get("unit") or usual,
                "decimals": decimals.get(code) if row.get("decimals") is None else row.get("decimals"),
            }
        )
    return pl.DataFrame(rows, schema=CODE_COLUMNS), dict(sorted(noted.items()))


def _unit(met: _Met, declared: str | None) -> tuple[str | None, str]:
    """The unit of a code's numbers and where it was found: in the row, in codes.parquet, at the code's end."""
    if met.unit:
        return met.unit, "unit told by the row"
    if declared:
        return declared, "unit assumed as in codes.parquet"
    last = met.code.rpartition(BETWEEN)[2]
    last = SPELLINGS.get(last, last)
    if BETWEEN in met.code and last in KNOWN_UNITS and not last.isdigit():
        return last, "unit assumed from the end of the code"
    return None, "no unit"


def _frames(
    found: _DataSet, units: Mapping[str, str], db: duckdb.DuckDBPyConnection, key: bytes
) -> Iterator[pl.DataFrame]:
    rows = f"({_judged(found)}) r"
    if key:
        rows = f"(SELECT * REPLACE (s.{SUBJECT} AS subject) FROM {rows} JOIN {PSEUDONYMS} s ON s.{PERSON} = r.subject)"
    sql = (
        f"SELECT subject, moment, code_said, number::FLOAT AS number, words, unit_said, known, file, place, origin"
        f" FROM {rows} WHERE verdict IS NULL"
        f" ORDER BY subject, moment NULLS FIRST, file, place"
    )
    stems = {str(path): _stem(path, found).removesuffix(".parquet") for path in found.files}
    for batch in db.sql(sql).to_arrow_reader(ROWS_A_BATCH):
        rows_read = _frame(batch, stems, units)
        if key:
            hidden = hidden_names(rows_read["source"], key, kind="row")
            rows_read = rows_read.with_columns(("meds:" + hidden).alias("source"))
        yield rows_read


def _frame(batch: pa.RecordBatch, stems: Mapping[str, str], units: Mapping[str, str]) -> pl.DataFrame:
    rows = pl.DataFrame(batch)
    assumed = pl.col("code_said").replace_strict(dict(units), default=None, return_dtype=pl.String)
    here = pl.format("{}:{}", pl.col("file").replace(stems), pl.col("place") + 1)
    moment, known = pl.col("moment").cast(pl.Datetime("us")), pl.col("known").cast(pl.Datetime("us"))
    return rows.select(
        pl.col("subject").alias("subject_id"),
        moment.alias("time"),
        pl.col("code_said").alias("code"),
        pl.col("number").alias("numeric_value"),
        pl.col("words").alias("text_value"),
        pl.when(pl.col("number").is_not_null()).then(pl.coalesce("unit_said", assumed)).alias("unit"),
        pl.when(moment.is_not_null()).then(known).alias("known_time"),
        pl.coalesce("origin", here).alias("source"),
    )


def _codes(folder: Path) -> pl.DataFrame:
    """What the data set says of its codes; nothing where there is no such file."""
    return fit_columns(_metadata(folder, code_metadata_filepath, ["code"]), CODE_COLUMNS, what="codes")


def _splits(folder: Path, key: bytes) -> pl.DataFrame | None:
    """Which split each subject belongs to; none where it is not said, or in other words than MEDS has."""
    said = _metadata(folder, subject_splits_filepath, ["subject_id", "split"]).select("subject_id", "split")
    if (
        said.is_empty()
        or not said["split"].is_in(list(SPLITS)).all()
        or said["subject_id"].is_duplicated().any()
    ):
        return None
    subjects = said["subject_id"].cast(pl.Int64)
    subjects = numbers_of(subjects, key) if key else subjects
    return said.select(subjects.alias("subject_id"), pl.col("split").cast(pl.String))


def _metadata(folder: Path, name: str, needed: list[str]) -> pl.DataFrame:
    path = folder / name
    if not path.is_file():
        return pl.DataFrame(schema=dict.fromkeys(needed, pl.String()))
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputUnreadable(
            f"'{name}' is cut short or not Parquet", where=str(folder), fix="copy or write the data set again"
        ) from error
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise ColumnMissing(
            f"'{name}' has no column '{missing[0]}'", where=str(folder), fix=f"MEDS wants {', '.join(needed)}"
        )
    return frame


def _settings(folder: Path) -> TimelineSettings:
    """What the data set says of itself; a timeline of ours keeps its marks."""
    path = folder / dataset_metadata_filepath
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise InputUnreadable(
            f"'{dataset_metadata_filepath}' is not JSON", where=str(folder), fix="write the data set again"
        ) from error
    return settings_from_json(content if isinstance(content, dict) else {})
