"""Categories whose codes are made of a prefix and the cell: which cells can be, and what their codes say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from salus.formats.csv_source import CodeEntry, CodeFamily, Column, Fact, Source, Table

BETWEEN = "//"
LONGEST = 64


def category_code(prefix: str, cell: str) -> str:
    """The code of one cell: RACE and Asian give RACE//Asian."""
    return f"{prefix}{BETWEEN}{cell}"


def is_category(cell: str) -> bool:
    """Whether a cell can be the second half of a code and be read out of it again.

    >>> [is_category(cell) for cell in ("250.83", "[70-80)", "Emergency/Trauma", "a//b", " a", "a/", "")]
    [True, True, True, False, False, False, False]
    """
    whole = 0 < len(cell) <= LONGEST and cell.isprintable() and cell != "*"
    return whole and BETWEEN not in cell and cell == cell.strip() == cell.strip("/")


def close_categories(source: Source) -> Source:
    """Give each column of ``each`` the cells whose codes are listed, unless a family lets any other in."""
    open_ones = {family.prefix for family in source.families}
    listed = [entry.code for entry in source.codes]

    def close(_: Table, fact: Fact) -> Fact:
        if not fact.each or fact.each in open_ones:
            return fact
        return replace(fact, values=_values(fact.each, _cells(fact.each, listed)), each="")

    return _described(_with_facts(source, close))


def with_found(source: Source, cells: Mapping[tuple[str, str], Iterable[str]]) -> Source:
    """Give each open category the cells met in it (by names of table and fact), and describe their codes.

    A cell that cannot be part of a code is left out, so that no code is declared for it.
    """

    def fill(table: Table, fact: Fact) -> Fact:
        met = cells.get((table.name, fact.name), ()) if fact.each else ()
        return (
            replace(fact, values=_values(fact.each, sorted(filter(is_category, set(met))))) if met else fact
        )

    return _described(_with_facts(source, fill))


def with_codes(source: Source, codes: Iterable[str]) -> Source:
    """Give each open category the cells that the codes of a timeline tell of."""
    known = list(codes)
    return with_found(
        source,
        {
            (table.name, fact.name): _cells(fact.each, known)
            for table in source.tables
            for fact in table.facts + table.column_facts
            if fact.each
        },
    )


def _cells(prefix: str, codes: Iterable[str]) -> list[str]:
    start = category_code(prefix, "")
    return [code.removeprefix(start) for code in codes if code.startswith(start)]


def _values(prefix: str, cells: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((cell, category_code(prefix, cell)) for cell in cells)


def _with_facts(source: Source, change: Callable[[Table, Fact], Fact]) -> Source:
    """The source with every fact changed."""

    def of_column(table: Table, column: Column) -> Column:
        return replace(column, fact=change(table, column.fact)) if column.fact else column

    tables = tuple(
        replace(
            table,
            columns=tuple(of_column(table, column) for column in table.columns),
            facts=tuple(change(table, fact) for fact in table.facts),
        )
        for table in source.tables
    )
    return replace(source, tables=tables)


def _described(source: Source) -> Source:
    """Add what the families say of codes that are used and not listed, and of those codes' parents."""
    families = {family.prefix: family for family in source.families}
    known = {entry.code for entry in source.codes}
    added: list[CodeEntry] = []
    waiting = [
        code
        for table in source.tables
        for fact in table.facts + table.column_facts
        for _, code in fact.values
    ]
    while waiting:
        code = waiting.pop(0)
        prefix, _, cell = code.rpartition(BETWEEN)
        if code in known or prefix not in families:
            continue
        known.add(code)
        added.append(_entry(families[prefix], code, cell))
        waiting += added[-1].parents
    return replace(source, codes=source.codes + tuple(added))


def _entry(family: CodeFamily, code: str, cell: str) -> CodeEntry:
    matched = re.match(family.root, cell) if family.root else None
    parent = category_code(family.prefix, matched[1] or "") if matched else ""
    parents = (parent,) if matched and is_category(matched[1] or "") and parent != code else ()
    return CodeEntry(code=code, description=family.description.replace("{}", cell), parents=parents)
