"""A first guess of what each column of some CSV files is, so that a person finishes a source.yaml and begins none.

Every guess says why. A guess never holds a cell of a patient: only names of columns, and of a long table the names of
what was measured, where many patients have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from salus.errors import InputMissing, InputUnreadable, UnitUnknown
from salus.formats.categories import is_category
from salus.intake import column_words as words
from salus.intake.column_look import MANY_CELLS, ColumnLook, Look, look_at
from salus.intake.parquet_cells import PARQUET, cells_of, read_parquet
from salus.intake.passed_over import passed_over
from salus.units import read_unit

ROWS_LOOKED_AT = 200_000
ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet")
NUMERIC = (Look.WHOLE, Look.NUMBER)
FEW_NUMBERS = 3
"""Different whole numbers that are more likely categories than a number."""
MOST_VARIABLES, LEAST_PATIENTS = 1_000, 5
"""A column with more different cells names no variables; a name that fewer patients have is not written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One column: its use as ``source.yaml`` writes it, why, and whether somebody must look before it is used."""

    name: str
    use: Mapping[str, object]
    why: str
    sure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftTable:
    """The files with the same columns. ``facts``: of a long table, what each name that many patients have becomes."""

    name: str
    files: tuple[str, ...]
    columns: tuple[Guess, ...]
    facts: tuple[str, ...] = ()
    row: str = ""
    left_out: int = 0
    remark: str = ""
    patients: int = 0
    one_row_each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A whole source as guessed. ``codes``: code → what is known of it; ``families``: prefixes of categories."""

    tables: tuple[DraftTable, ...]
    grain: str
    needs_zero: bool
    missing: tuple[str, ...]
    patients: str
    codes: Mapping[str, Mapping[str, object]]
    families: Mapping[str, str]
    passed_over: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Met:
    """What comes together over all tables."""

    grains: set[str] = field(default_factory=lambda: {"day"})
    codes: dict[str, dict[str, object]] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=lambda: {""})

    def prefix(self, name: str) -> str:
        """A prefix for a column's codes that no other column has."""
        plain = (
            "_".join(ColumnLook(name=name, look=Look.TEXT, different=0, filled=0).words).upper() or "COLUMN"
        )
        taken = {*self.codes, *self.families}
        numbered = (plain if number == 1 else f"{plain}_{number}" for number in range(1, 10_000))
        return next(one for one in numbered if one not in taken)


def draft_of(folder: Path) -> Draft:
    """Look at the CSV files of a folder.

    Raises InputMissing (SAL-104) where there are none, InputUnreadable (SAL-105) where one is no table with commas or
    no table has a column that can be the patient. A table without one is passed over.
    """
    paths = _files(folder)
    groups: dict[tuple[str, ...], list[Path]] = {}
    frames: dict[tuple[str, ...], pl.DataFrame] = {}
    for path in paths:
        frame = _read(path)
        key = tuple(frame.columns)
        groups.setdefault(key, []).append(path)
        held = frames.get(key)
        frames[key] = frame if held is None else pl.concat([held, frame]).head(ROWS_LOOKED_AT)
    looks = {key: [look_at(name, frame[name]) for name in frame.columns] for key, frame in frames.items()}
    subjects = {key: found for key in looks if (found := _subject(looks[key], looks))}
    if not subjects:
        raise InputUnreadable(
            f"no column of '{paths[0].name}' or another file looks like the number of a patient",
            where=str(folder),
            fix="give every row the patient's number, a whole number, in a column such as patient_id",
        )
    met = _Met()
    tables = tuple(
        table
        for key in subjects
        if _says_something(
            table := _table(groups[key], frames[key], looks[key], subject=subjects[key], met=met)
        )
    )
    if not tables:
        raise InputUnreadable(
            f"no column of '{paths[0].name}' or another file looks like a fact about patients",
            where=str(folder),
            fix="give more rows (from a few nothing can be guessed), or write the source.yaml by hand",
        )
    read = {name for table in tables for name in table.files}
    others = [path.name for path in sorted(folder.iterdir()) if path.is_file() and path.name not in read]
    dated = [_has_date(table) for table in tables]
    return Draft(
        tables=tables,
        grain=next(grain for grain in ("second", "minute", "day") if grain in met.grains),
        needs_zero=not all(dated) or any(table.row for table in tables),
        missing=tuple(sorted(met.missing)),
        patients=_patients(tables),
        codes=met.codes,
        families=met.families,
        passed_over=passed_over(others, groups, frames=frames, looks=looks, subjects=subjects),
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputMissing(
            f"there is no folder '{folder.name}'", where=str(folder), fix="give the folder of the files"
        )
    paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(ENDINGS))
    if not paths:
        fix = "give a folder with .csv, .csv.gz, .csv.zst or .parquet files; other forms: salus ingest --as"
        raise InputMissing(f"'{folder.name}' has no CSV or Parquet files", where=str(folder), fix=fix)
    return paths


def _read(path: Path) -> pl.DataFrame:
    if path.suffix == PARQUET:
        return cells_of(read_parquet(path.read_bytes(), path=path).head(ROWS_LOOKED_AT), {}, path=path)
    try:
        frame = pl.read_csv(path, infer_schema=False, n_rows=ROWS_LOOKED_AT, truncate_ragged_lines=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        fix = "save it as UTF-8 CSV with commas and a header line"
        raise InputUnreadable(
            f"'{path.name}' is not a table with commas", where=str(path), fix=fix
        ) from error
    only = frame.columns[0]
    if frame.width == 1 and any(sign in only for sign in ";\t|"):
        fix = "save it with commas between the columns"
        raise InputUnreadable(
            f"the columns of '{path.name}' are not parted by commas", where=str(path), fix=fix
        )
    return frame


def _subject(looks: Sequence[ColumnLook], all_names: Mapping[tuple[str, ...], object]) -> str:
    """The column that says whose row it is, named as one or found in several tables; empty where there is none."""
    shared = Counter(name for names in all_names for name in names)

    def fit(look: ColumnLook) -> tuple[bool, bool, int, bool]:
        """How well it fits: named as a patient, as a number, in how many tables, not merely counted."""
        return (
            look.named(*words.PATIENT),
            look.named("id", "number", "nr"),
            shared[look.name],
            not look.counted,
        )

    whole = [look for look in looks if look.look is Look.WHOLE and look.filled == 1.0]
    best = max(whole, key=fit, default=None)
    if best is None or not (best.named(*words.PATIENT) or (shared[best.name] > 1 and not best.counted)):
        return ""
    return best.name


def _table(
    paths: Sequence[Path], frame: pl.DataFrame, looks: Sequence[ColumnLook], *, subject: str, met: _Met
) -> DraftTable:
    """Guess every column of a table, the ones that hold it together first."""
    for look in looks:
        met.missing |= set(look.missing)
    once = frame[subject].is_unique().all()
    fixed = {subject: Guess(name=subject, use={"subject": True}, why="the patient", sure=True)}
    variable, value = _long(looks, subject)
    time = _time(looks, subject, met, once=bool(once))
    fixed |= time
    row = ""
    facts: tuple[str, ...] = ()
    left_out = 0
    if variable and value:
        facts, left_out = _variables(frame, subject, variable.name)
        fixed |= _as_long(looks, variable, value, fixed)
        told = _units_told(frame, variable.name, fixed)
        met.codes |= {
            name: {"description": name, "decimals": value.decimals} | told.get(name, {}) for name in facts
        }
    elif any("birth" in guess.why for guess in time.values()):
        row = "MEDS_BIRTH"
        met.codes[row] = {"description": "Birth", "role": "birth"}
    remark = (
        ""
        if time or once
        else "no column is a time: if a patient's rows come in order, mark one {time: order}"
    )
    static = bool(once) and not any(
        guess.use.get("time") for guess in time.values() if "birth" not in guess.why
    )
    guesses = tuple(
        fixed[look.name] if look.name in fixed else _rest(look, met, static=static, long=bool(facts))
        for look in looks
    )
    return DraftTable(
        name=paths[0].name.split(".")[0],
        files=tuple(path.name for path in paths),
        columns=guesses,
        facts=facts,
        row=row,
        left_out=left_out,
        remark=remark,
        patients=frame[subject].n_unique(),
        one_row_each=bool(once),
    )


def _long(looks: Sequence[ColumnLook], subject: str) -> tuple[ColumnLook | None, ColumnLook | None]:
    """The columns that name and give a measurement, where a row is one."""
    names = [look for look in looks if look.name != subject and look.named(*words.VARIABLE)]
    names = [look for look in names if look.look in (Look.CHOICE, Look.CODES) and look.different > 1]
    values = [look for look in looks if look.name != subject and look.named(*words.VALUE)]
    values = [look for look in values if look.look in (Look.NUMBER, Look.WHOLE)]
    return (names[0], values[0]) if names and values else (None, None)


def _as_long(
    looks: Sequence[ColumnLook], variable: ColumnLook, value: ColumnLook, fixed: Mapping[str, Guess]
) -> dict[str, Guess]:
    """The columns that hold a long table together: what was measured, its value and its unit."""
    units = [look for look in looks if look.name not in fixed and look.named(*words.UNIT)]
    uses = [(variable, "variable", "names what was measured"), (value, "value", "its value")]
    uses += [(look, "unit", "its unit") for look in units[:1]]
    return {look.name: Guess(name=look.name, use={use: True}, why=why, sure=False) for look, use, why in uses}


def _units_told(frame: pl.DataFrame, variable: str, fixed: Mapping[str, Guess]) -> dict[str, dict[str, str]]:
    """The unit that stands most often beside each name, where Salus knows it; other units convert or are rejected."""
    column = next((name for name, guess in fixed.items() if guess.use.get("unit") is True), "")
    if not column:
        return {}
    pairs = frame.select(variable, column).drop_nulls().group_by(variable, column).len()
    told: dict[str, dict[str, str]] = {}
    for name, unit, _ in pairs.sort("len", column, descending=[True, False]).iter_rows():
        with suppress(UnitUnknown):
            told.setdefault(str(name), {"unit": read_unit(str(unit).strip())})
    return told


def _variables(frame: pl.DataFrame, subject: str, name: str) -> tuple[tuple[str, ...], int]:
    """The names that enough patients have, and how many others there are."""
    counted = frame.drop_nulls(name).group_by(name).agg(patients=pl.col(subject).n_unique())
    kept = counted.filter(pl.col("patients") >= LEAST_PATIENTS).sort(
        "patients", name, descending=[True, False]
    )
    names = tuple(text for text in kept[name].to_list() if is_category(text))[:MOST_VARIABLES]
    return names, counted.height - len(names)


def _time(looks: Sequence[ColumnLook], subject: str, met: _Met, *, once: bool) -> dict[str, Guess]:
    """When a row is true, and when it could be seen."""
    dates = [look for look in looks if look.look in (Look.DATE, Look.CLOCK)]
    later = [look for look in looks if look.look in (Look.WHOLE, Look.NUMBER) and look.name != subject]
    later = [look for look in later if look.words and look.words[-1] in words.LATER]
    born = [look for look in dates if look.named(*words.BIRTH)]
    seen = [look for look in dates if look.named(*words.RELEASED) and not look.named(*words.BIRTH)]
    rest = [look for look in dates if look not in born and look not in seen]
    rest.sort(key=lambda look: not look.named(*words.DRAWN))
    found: dict[str, Guess] = {}
    when = rest or seen[:1] or ([] if dates else later) or (born if once else [])
    numbers = [look for look in looks if look.look is Look.WHOLE and look.single and look.name != subject]
    if when:
        found[when[0].name] = _when(when[0], met, use="time")
    elif numbers and not once:
        name, why = numbers[0].name, "no column is a time: does this number order a patient's rows?"
        found[name] = Guess(name=name, use={"time": "order"}, why=why, sure=False)
    known = [look for look in seen if look.name not in found]
    if known and found:
        found[known[0].name] = _when(known[0], met, use="known_time")
    return found


def _when(look: ColumnLook, met: _Met, *, use: str) -> Guess:
    if look.look is Look.DATE:
        form = look.pattern
        met.grains.add("second" if "%S" in form else "minute" if "%M" in form else "day")
        why = (
            "birth of the patient"
            if look.named(*words.BIRTH)
            else "when it was true"
            if use == "time"
            else "when staff could see it"
        )
        if look.others:
            why += f"; {' or '.join(look.others)} fits as well"
        return Guess(name=look.name, use={use: form}, why=why, sure=not look.others)
    form = "hh:mm" if look.look is Look.CLOCK else words.LATER[look.words[-1]]
    met.grains.add("minute" if form in ("hh:mm", "hour", "minute") else form)
    return Guess(name=look.name, use={use: form}, why="counted from time zero", sure=False)


def _rest(look: ColumnLook, met: _Met, *, static: bool, long: bool) -> Guess:
    """What a column says that holds nothing together."""
    if look.counted:
        return Guess(name=look.name, use={"row_number": True}, why="counts the rows", sure=True)
    if why := _not_to_be_read(look, static=static, long=long):
        return Guess(
            name=look.name, use={"ignore": why, "write": "empty"}, why=why, sure=look.look is Look.EMPTY
        )
    if static and look.named(*words.AGE) and look.look in NUMERIC:
        met.codes["MEDS_BIRTH"] = {"description": "Birth", "role": "birth"}
        return Guess(name=look.name, use={"age": True}, why="years at time zero", sure=False)
    prefix = met.prefix(look.name)
    true_always: dict[str, object] = {"static": True} if static else {}
    if look.look in NUMERIC and not look.named("id"):
        unit = next(
            (words.UNITS_IN_NAMES[word] for word in look.words[1:] if word in words.UNITS_IN_NAMES), ""
        )
        met.codes[prefix] = {"description": look.name, "decimals": look.decimals} | (
            {"unit": unit} if unit else {}
        )
        few = look.look is Look.WHOLE and look.different <= FEW_NUMBERS
        why = "a number of few values: a category?" if few else "a number" + ("" if unit else "; its unit?")
        why += f"; {look.odd} cells are none, and their rows will be rejected" if look.odd else ""
        return Guess(
            name=look.name, use={"code": prefix, **true_always}, why=why, sure=bool(unit) and not few
        )
    met.families[prefix] = f"{look.name} {{}}"
    why = "numbered choices" if look.look in NUMERIC else look.look.value
    why += f", {look.different} different cells"
    return Guess(name=look.name, use={"each": prefix, **true_always}, why=why, sure=look.look is Look.CHOICE)


def _not_to_be_read(look: ColumnLook, *, static: bool, long: bool) -> str:
    """Why a column should not be read; empty where it may."""
    numbered = look.look is Look.WHOLE and look.single  # with decimals it counts nothing
    another = numbered or (look.look in NUMERIC and look.named("id") and look.different > MANY_CELLS)
    reasons = {
        "always empty": look.look is Look.EMPTY,
        "its name says that it identifies people": look.named(*words.IDENTIFYING),
        "what came of the patient: give it a time (moment, at), or it is known too early": (
            static and look.named(*words.OUTCOMES)
        ),
        "a second time: of a table of its own, or known_time?": look.look in (Look.DATE, Look.CLOCK),
        "a long table has no place for it; a table of its own?": long,
        "always the same": look.look is Look.CONSTANT,
        "free text: it may name people": look.look is Look.TEXT,
        "a number of something else": another,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _says_something(table: DraftTable) -> bool:
    uses = [set(guess.use) for guess in table.columns]
    return bool(table.row or table.facts) or any(use & {"code", "each", "age"} for use in uses)


def _has_date(table: DraftTable) -> bool:
    return any("%" in str(guess.use.get("time", "")) for guess in table.columns)


def _patients(tables: Sequence[DraftTable]) -> str:
    """The table that lists the patients: a row each, and as many as any other has."""
    most = max(table.patients for table in tables)
    listing = [table.name for table in tables if table.one_row_each and table.patients >= most]
    return listing[0] if listing and len(tables) > 1 else ""


def guesses(draft: Draft) -> Iterator[tuple[DraftTable, Guess]]:
    """Every column with its table."""
    return ((table, guess) for table in draft.tables for guess in table.columns)
