"""Open categories: which cells a table's rows hold, and which of their codes came to be used."""

from __future__ import annotations

import polars as pl

from salus.formats.categories import with_found
from salus.formats.csv_source import CodeEntry, Fact, Source, Table, Use
from salus.intake.cells import is_missing


def with_found_categories(source: Source, table: Table, rows: pl.DataFrame) -> Source:
    """The source, with a value for every cell that the rows hold in this table's open categories."""
    return with_found(
        source,
        {
            (table.name, fact.name): _cells(fact, table, rows, source)
            for fact in table.facts + table.column_facts
            if fact.each
        },
    )


def _cells(fact: Fact, table: Table, rows: pl.DataFrame, source: Source) -> list[str]:
    variable, value = table.column(Use.VARIABLE), table.column(Use.VALUE)
    if variable and value:
        cells = rows.filter(pl.col(variable.name) == fact.name).select(cell=value.name)
    else:
        cells = rows.select(cell=fact.name)
    told = ~is_missing(pl.col("cell"), fact.missing, source.missing)
    return cells.unique().filter(told)["cell"].to_list()


def only_met(entries: tuple[CodeEntry, ...], source: Source, met: list[str]) -> tuple[CodeEntry, ...]:
    """The declared codes, and of those found in cells the ones with events (and their parents)."""
    used = {entry.code for entry in source.codes} | set(met)
    parents = {entry.code: entry.parents for entry in entries}
    waiting = list(met)
    while waiting:
        above = [code for code in parents.get(waiting.pop(), ()) if code not in used]
        used |= set(above)
        waiting += above
    return tuple(entry for entry in entries if entry.code in used)
