"""The joins of a ``source.yaml``: which columns of a table come from other files, and by which key."""

from __future__ import annotations

from salus.errors import nearest
from salus.formats.csv_source import Join, Table
from salus.formats.strict_yaml import Section


def read_joins(section: Section) -> tuple[Join, ...]:
    """The joins of one table, in the order in which they are made."""
    return tuple(_join(file, inner) for file, inner in section.sections("join"))


def _join(file: str, section: Section) -> Join:
    by = section.text("by")
    join = Join(file=file, by=by, key=section.text("key", by), columns=section.words("columns"))
    section.done()
    if not join.columns:
        raise section.wrong(f"the join with '{file}' brings nothing", "add 'columns: [name]'")
    return join


def check_joins(table: Table, section: Section) -> None:
    """What a join brings is declared, once; what it goes by is there before it."""
    declared = [column.name for column in table.columns]
    there = [name for name in declared if name not in table.joined]
    for join in table.joins:
        if join.by not in there:
            raise section.wrong(
                f"'{join.file}' is joined by '{join.by}', which no column before it is{nearest(join.by, there)}",
                "declare that column too ('ignore: a key' if it says nothing), or join in another order",
            )
        for name in join.columns:
            if name not in declared:
                raise section.wrong(
                    f"'{join.file}' brings '{name}', which is not declared{nearest(name, declared)}",
                    f"say under 'columns' of '{table.name}' what '{name}' is",
                )
            if name in there:
                raise section.wrong(
                    f"'{name}' of table '{table.name}' is brought twice", "leave it out of one of the joins"
                )
            there.append(name)
