"""Who the patients are (PID): birth, sex, race, ethnicity and death as last told, and who was merged into whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from salus.formats.categories import is_category
from salus.formats.hl7v2 import DELETED
from salus.formats.hl7v2_codes import SEXES, read_coded
from salus.formats.hl7v2_patient import all_keys
from salus.intake.hl7v2_facts import NO_PATIENT, REJECTED
from salus.intake.hl7v2_headers import Setting
from salus.intake.hl7v2_segments import LINE
from salus.intake.hl7v2_times import birth_in_utc
from salus.timeline.columns import BIRTH, DEATH
from salus.timeline.subjects import subject_number

FIELDS = (7, 8, 10, 22, 29, 30)
TOLD = [f"PID-{number}" for number in FIELDS]
MERGES = ("A18", "A34", "A36", "A39", "A40", "A46", "A47", "A30")
"""Events that make two patients one, or give one another identifier; not those that merge visits or accounts."""
TRAIT_COLUMNS: dict[str, pl.DataType] = {
    "subject": pl.Int64(),
    "trait": pl.String(),
    "code": pl.String(),  # null: told to hold no longer
    "time": pl.Datetime("us"),
    "first": pl.Datetime("us"),  # when it was said first
    "last": pl.Datetime("us"),  # and last
    "source": pl.String(),  # of the first
}
MERGE_COLUMNS: dict[str, pl.DataType] = {
    "old": pl.Int64(),
    "new": pl.Int64(),
    "said": pl.Datetime("us"),
    "control": pl.String(),
}
WORDS = {BIRTH: "Birth", DEATH: "Death"}


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What a batch says of its patients, and who became one."""

    read: int
    traits: pl.DataFrame
    merges: pl.DataFrame
    rejected: pl.DataFrame
    words: dict[str, str]
    counts: dict[str, int]


def people_of(setting: Setting) -> People:
    """Every PID and MRG of a batch; what is said many times is told once, with its first and last time."""
    rows = setting.segments.of("PID", FIELDS).with_columns(setting.patients["subject"])
    nameless = rows.filter(pl.col("subject").is_null())
    rejected = nameless.select(line=LINE, column=pl.lit("PID-3"), reason=pl.lit(NO_PATIENT))
    said = setting.of_message(rows, "said")
    rows = rows.with_columns(
        said.alias("said"), setting.source(rows).alias("source"), setting.of_message(rows, "offset")
    )
    told = (
        rows.filter(pl.col("subject").is_not_null())
        .group_by("subject", "offset", *TOLD)
        .agg(
            first=pl.col("said").min(),
            last=pl.col("said").max(),
            source=pl.col("source").sort_by("said", "source").first(),
        )
    )
    words: dict[str, str] = dict(WORDS)
    traits, counts = _traits(told, setting.zone, words)
    merges, refused, merged = _merges(setting)
    return People(
        read=rows.height + merged,
        traits=traits,
        merges=merges,
        rejected=pl.concat([rejected.cast(pl.Schema(REJECTED)), refused]),
        words=words,
        counts=counts,
    )


def _traits(told: pl.DataFrame, zone: str, words: dict[str, str]) -> tuple[pl.DataFrame, dict[str, int]]:
    born, assumed = birth_in_utc(told["PID-7"], zone=zone)
    died, _ = birth_in_utc(told["PID-29"], zone=zone)
    unborn = (born > told["first"]).fill_null(False)
    born = born.set(unborn, None)
    parts = [
        _trait(told, BIRTH, pl.Series([BIRTH]).new_from_index(0, told.height), time=born, field="PID-7"),
        _trait(told, DEATH, pl.Series([DEATH]).new_from_index(0, told.height), time=died, field="PID-29"),
    ]
    readers: dict[str, tuple[str, Callable[[str], tuple[str, str] | None]]] = {
        "SEX": ("PID-8", _sex),
        "RACE": ("PID-10", _group),
        "ETHNICITY": ("PID-22", _group),
    }
    for name, (field, read) in readers.items():
        found = {cell: read(cell) for cell in told[field].unique() if cell not in ("", DELETED)}
        codes = {cell: f"{name}//{one[0]}" for cell, one in found.items() if one}
        words |= {f"{name}//{one[0]}": f"{name.capitalize()}: {one[1]}" for one in found.values() if one}
        code = told[field].replace_strict(codes, default=None, return_dtype=pl.String)
        parts.append(_trait(told, name, code, time=None, field=field))
    counts = {
        "birth assumed in the middle of its month or year": int((assumed & born.is_not_null()).sum()),
        "birth after it was told": int(unborn.sum()),
        "birth that cannot be read": _unread(told["PID-7"], born) - int(unborn.sum()),
        "death that cannot be read": _unread(told["PID-29"], died),
        "death without a time": int(((told["PID-30"] == "Y") & died.is_null()).sum()),
    }
    return pl.concat(parts), {name: count for name, count in counts.items() if count}


def _unread(cells: pl.Series, read: pl.Series) -> int:
    return int((~cells.is_in(["", DELETED]) & read.is_null()).sum())


def _trait(
    told: pl.DataFrame, name: str, code: pl.Series, *, time: pl.Series | None, field: str
) -> pl.DataFrame:
    """Rows that say this trait, or that it holds no longer."""
    deleted = told[field] == DELETED
    if name == DEATH:
        deleted |= (told["PID-30"].is_in(["N", DELETED])) & told["PID-29"].is_in(["", DELETED])
    there = code.is_not_null() if time is None else time.is_not_null()
    rows = told.select(
        "subject",
        pl.lit(name).alias("trait"),
        code.set(~there, None).alias("code"),
        (pl.lit(None) if time is None else time.alias("time")).alias("time"),
        "first",
        "last",
        "source",
    )
    return rows.filter(there | deleted).cast(pl.Schema(TRAIT_COLUMNS))


def _sex(cell: str) -> tuple[str, str] | None:
    coding = read_coded(cell)
    if coding is None:
        return None
    name = SEXES.get(coding.code.upper(), coding.code)
    return name, coding.words or name


def _group(cell: str) -> tuple[str, str] | None:
    """A race or ethnicity by its words, as other ways in name it; by its code where it has none."""
    coding = read_coded(cell)
    if coding is None:
        return None
    name = coding.words if is_category(coding.words) else coding.code
    return name, name


def _merges(setting: Setting) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Who became whom, what is no merge, and how many merges there were."""
    rows = setting.segments.of("MRG", (1,))
    wanted = setting.of_message(rows, "trigger").is_in(list(MERGES))
    rows = rows.with_columns(
        setting.patient(rows), setting.of_message(rows, "said"), setting.of_message(rows, "control")
    ).filter(wanted)
    found, refused = [], []
    for line, olds, new, said, control in rows.select(
        LINE, "MRG-1", "subject", "said", "control"
    ).iter_rows():
        keys = all_keys(olds)
        if not keys or new is None:
            refused.append((line, "MRG-1", "the merge does not name both patients"))
            continue
        numbers = [subject_number(key, setting.key) for key in keys]
        found += [(old, new, said, control) for old in numbers if old != new]
    merges = pl.DataFrame(found, schema=MERGE_COLUMNS, orient="row")
    return merges, pl.DataFrame(refused, schema=REJECTED, orient="row"), rows.height


def survivors(merges: Iterable[tuple[int, int]]) -> Mapping[int, int]:
    """Who each merged patient became, in the order in which the merges were said.

    >>> survivors([(1, 2), (2, 3)])
    {1: 3, 2: 3}
    >>> survivors([(1, 2), (2, 1)])
    {2: 1}
    """
    became: dict[int, int] = {}

    def last(one: int) -> int:
        while one in became:
            one = became[one]
        return one

    for old, new in merges:
        gone, kept = last(old), last(new)
        if gone == kept and new != kept:
            became[kept] = new
            became.pop(new, None)
        elif gone != kept:
            became[gone] = kept
    return {one: last(one) for one in became}
