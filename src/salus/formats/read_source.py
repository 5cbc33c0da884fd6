"""Read a ``source.yaml`` strictly: an unknown key, a dangling code or a column with two uses is an error."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import available_timezones

from salus.errors import nearest
from salus.formats.categories import category_code, close_categories, is_category
from salus.formats.csv_source import (
    ORDER,
    Column,
    Fact,
    Grain,
    Moment,
    NotRecorded,
    Source,
    SourceFile,
    SplitRule,
    Table,
    Use,
    Written,
)
from salus.formats.source_codes import check_prefixes, read_codes
from salus.formats.source_joins import check_joins, read_joins
from salus.formats.source_order import check_later, check_order, check_rows_in_order
from salus.formats.source_units import check_units, read_own_unit
from salus.formats.strict_yaml import Section, read_section

UNITS = ("day", "hour", "minute", "second")
CLOCK = "hh:mm"
SPLITS = ("train", "tuning", "held_out")
BROKEN_FIX = "a category has 1 to 64 characters, no // and no space or / at either end"
DEFAULT_SPLITS = SplitRule(seed=0, shares=(("train", 0.7), ("tuning", 0.1), ("held_out", 0.2)))


def read_source(path: Path) -> Source:
    """Read and check one ``source.yaml``.

    >>> read_source(Path("examples/cohort/source.yaml")).anchor
    'COHORT//ENTRY'
    """
    top = read_section(path)
    time = top.section("time")
    zero = _zero(time)
    grain = Grain(time.one_of("grain", [grain.value for grain in Grain]))
    zone = time.text("zone", "UTC")
    if zone not in available_timezones():
        raise time.wrong(
            f"no time zone '{zone}'{nearest(zone, available_timezones())}", "write it as Europe/Madrid"
        )
    time.done()
    listed, families = read_codes(top)
    source = Source(
        path=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        name=top.text("name"),
        title=top.text("title", ""),
        licence=top.text("licence", ""),
        cite=top.text("cite", ""),
        input=top.text("input", ""),
        fetch=top.text("fetch", ""),
        zero=zero,
        grain=grain,
        zone=zone,
        anchor=top.text("anchor", ""),
        patients=top.text("patients", ""),
        missing=top.words("missing") if top.has("missing") else ("",),
        splits=_splits(top),
        tables=tuple(_table(name, section) for name, section in top.sections("tables")),
        codes=listed,
        families=families,
    )
    top.done()
    check_prefixes(source, top)
    source = close_categories(source)
    _check(source, top)
    check_units(source, top)
    check_order(source, top)
    return source


def _zero(time: Section) -> datetime | None:
    written = time.text("zero", "")
    if not written:
        return None
    try:
        zero = datetime.fromisoformat(written)
    except ValueError as error:
        raise time.wrong("'zero' must be a date and time", "write it as 2000-01-01T00:00:00") from error
    return zero.astimezone(UTC).replace(tzinfo=None) if zero.tzinfo else zero


def _splits(top: Section) -> SplitRule:
    if not top.has("splits"):
        return DEFAULT_SPLITS
    section = top.section("splits")
    written = section.section("shares")
    shares = tuple((name, written.number(name) or 0.0) for name in SPLITS)
    written.done()
    seed = int(section.number("seed") or 0)
    section.done()
    if any(share < 0 for _, share in shares) or abs(sum(share for _, share in shares) - 1) > 1e-9:
        raise section.wrong("the shares must be at least 0 and sum to 1")
    return SplitRule(seed=seed, shares=shares)


def _table(name: str, section: Section) -> Table:
    table = Table(
        name=name,
        files=tuple(_file(item, section) for item in section.items("files")),
        columns=tuple(_column(column, inner) for column, inner in section.sections("columns")),
        facts=tuple(_named_fact(fact, inner) for fact, inner in section.sections("facts")),
        row_code=section.text("row", ""),
        first_row_code=section.text("first_row", ""),
        joins=read_joins(section),
    )
    section.done()
    uses = [column.use for column in table.columns]
    once = (Use.SUBJECT, Use.TIME, Use.KNOWN_TIME, Use.VARIABLE, Use.VALUE, Use.UNIT)
    if not table.files:
        raise section.wrong(f"table '{name}' names no file", "add 'files: [name.csv]'")
    if Use.SUBJECT not in uses:
        raise section.wrong(f"table '{name}' has no subject column", "mark one column 'subject: true'")
    for use in once:
        if uses.count(use) > 1:
            raise section.wrong(f"table '{name}' has two columns of use '{use.value}'")
    if table.is_long != (Use.VARIABLE in uses):
        raise section.wrong(f"table '{name}' needs both a variable column and 'facts', or neither")
    if not (
        table.is_long or table.column_facts or table.row_codes or any(one.code for _, one in table.moments)
    ):
        raise section.wrong(
            f"table '{name}' has nothing to read: no column is a fact, and a row is none",
            "say of a column which code it is, or leave the table out",
        )
    if table.is_long and (Use.FACT in uses or Use.MOMENT in uses):
        raise section.wrong(f"table '{name}' is long: its columns cannot be facts or moments")
    _check_moments(table, section)
    check_joins(table, section)
    check_rows_in_order(table, section)
    check_later(table, section)
    return table


def _check_moments(table: Table, section: Section) -> None:
    names = [moment.name for _, moment in table.moments]
    columns = [column.name for column in table.columns]
    wanted = [fact.at for fact in table.column_facts + table.facts if fact.at]
    wanted += [moment.after for _, moment in table.moments if moment.after]
    for name in wanted:
        if name not in names:
            raise section.wrong(f"no moment '{name}' in table '{table.name}'{nearest(name, names)}")
    for _, moment in table.moments:
        if moment.unless and moment.unless[0] not in columns:
            raise section.wrong(f"no column '{moment.unless[0]}'{nearest(moment.unless[0], columns)}")


def _file(item: object, section: Section) -> SourceFile:
    if isinstance(item, str):
        return SourceFile(item)
    inner = Section(item, file=section.file, place=f"{section.place}.files")
    file = SourceFile(inner.text("name"), inner.words("splits"))
    inner.done()
    for split in file.splits:
        if split not in SPLITS:
            raise inner.wrong(f"no split '{split}'{nearest(split, SPLITS)}", f"use: {', '.join(SPLITS)}")
    return file


def _column(name: str, section: Section) -> Column:
    plain = {"subject": Use.SUBJECT, "variable": Use.VARIABLE, "value": Use.VALUE, "unit": Use.UNIT,
             "row_number": Use.ROW_NUMBER}  # fmt: skip
    builders: dict[str, Callable[[str, Section], Column]] = {
        "moment": _moment_column,
        "time": _time_column,
        "known_time": _time_column,
        "ignore": _ignored_column,
    }
    for key, build in builders.items():
        if section.has(key):
            column = build(name, section)
            section.done()
            return column
    for key, use in plain.items():
        if not _is_marked(section, key):
            continue
        section.done()
        return Column(
            name=name, use=use, write=Written.ROW_NUMBER if use is Use.ROW_NUMBER else Written.EMPTY
        )
    return Column(name=name, use=Use.FACT, fact=_named_fact(name, section))


def _is_marked(section: Section, key: str) -> bool:
    """Whether the column is marked ``key: true``."""
    return section.has(key) and section.flag(key)


def _time_column(name: str, section: Section) -> Column:
    key = "time" if section.has("time") else "known_time"
    form = section.text(key)
    forms = (*UNITS, CLOCK, ORDER) if key == "time" else (*UNITS, CLOCK)
    if form not in forms and "%Y" not in form:
        raise section.wrong(
            f"'{key}' cannot be '{form}'{nearest(form, forms)}",
            f"use one of {', '.join(forms)} or a date pattern such as %Y-%m-%d",
        )
    return Column(name=name, use=Use(key), form=form)


def _ignored_column(name: str, section: Section) -> Column:
    write = Written(section.one_of("write", [written.value for written in Written], "empty"))
    return Column(name=name, use=Use.IGNORE, reason=section.text("ignore"), write=write)


def _moment_column(name: str, section: Section) -> Column:
    unless = section.pairs("unless")
    if len(unless) > 1:
        raise section.wrong("'unless' takes one column")
    moment = Moment(
        name=section.text("moment"),
        unit=section.one_of("unit", UNITS),
        missing=_not_recorded(section),
        earliest=_clock(section, "earliest"),
        otherwise=_clock(section, "otherwise"),
        after=section.text("after", ""),
        code=section.text("code", ""),
        unless=unless[0] if unless else None,
    )
    return Column(name=name, use=Use.MOMENT, moment=moment)


def _clock(section: Section, key: str) -> timedelta | None:
    written = section.text(key, "")
    if not written:
        return None
    match = re.fullmatch(r"(\d+):([0-5]\d)", written)
    if not match:
        raise section.wrong(f"'{key}' must be hh:mm after time zero", 'write it in quotes, e.g. "48:01"')
    return timedelta(hours=int(match[1]), minutes=int(match[2]))


def _named_fact(name: str, section: Section) -> Fact:
    each, only = section.text("each", ""), section.words("only")
    later = section.number("later")
    fact = Fact(
        name=name,
        code="MEDS_BIRTH" if section.flag("age") else section.text("code", ""),
        values=tuple((cell, category_code(each, cell)) for cell in only) or section.pairs("values"),
        each="" if only else each,
        unit=read_own_unit(section),
        later=int(later or 0),
        static=section.flag("static"),
        age=section.flag("age"),
        is_subject=section.flag("is_subject"),
        at=section.text("at", ""),
        missing=_not_recorded(section),
        always=section.flag("always"),
    )
    section.done()
    if bool(fact.code) + section.has("values") + section.has("each") != 1:
        raise section.wrong(
            f"'{name}' must say what it is: either 'code', 'values' or 'each'",
            "add one of them, or 'ignore: why' for a column",
        )
    if only and not each:
        raise section.wrong(f"'{name}' says 'only', but not of which prefix", "add 'each: PREFIX'")
    for cell in only:
        if not is_category(cell):
            raise section.wrong(f"'only' of '{name}' holds a cell that cannot be part of a code", BROKEN_FIX)
    if later is not None and (later < 1 or later != fact.later):
        raise section.wrong("'later' must be a whole number of grains, at least 1")
    return fact


def _not_recorded(section: Section) -> NotRecorded:
    return NotRecorded(cells=section.words("missing"), below=section.number("missing_below"))


def _check(source: Source, top: Section) -> None:
    """Check what only the whole file can tell."""
    known = [entry.code for entry in source.codes]
    for table in source.tables:
        used = [code for fact in table.facts + table.column_facts for code in fact.codes]
        used += [moment.code for _, moment in table.moments] + list(table.row_codes)
        for code in filter(None, used):
            if code not in known:
                raise top.wrong(f"'{code}' of table '{table.name}' is not in 'codes'{nearest(code, known)}",
                                f"add '{code}: {{description: …}}' under codes")  # fmt: skip
        relative = [column.form for column in table.columns if column.form and "%" not in column.form]
        ages = [fact.name for fact in table.facts + table.column_facts if fact.age]
        if source.zero is None and (relative or table.moments or ages or table.row_code):
            raise top.wrong(
                f"table '{table.name}' has relative times but there is no time zero", "add 'zero' under time"
            )
        if table.column(Use.TIME) is None and source.zero is None:
            raise top.wrong(
                f"table '{table.name}' has no time column and there is no time zero", "add one of them"
            )
    names = [table.name for table in source.tables]
    stems = [file.stem for table in source.tables for file in table.files]
    if len(set(stems)) < len(stems):
        raise top.wrong(
            "two files have the same name before the dot", "rename one: events are traced by that name"
        )
    if not names:
        raise top.wrong("there are no tables", "add 'tables:'")
    if source.patients and source.patients not in names:
        raise top.wrong(
            f"no table '{source.patients}'{nearest(source.patients, names)}", "name a table in 'patients'"
        )
    if source.anchor and source.anchor not in known:
        raise top.wrong(f"the anchor '{source.anchor}' is not in 'codes'{nearest(source.anchor, known)}")
