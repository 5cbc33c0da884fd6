"""The codes of a ``source.yaml``: those listed one by one, and the families of which any cell makes one."""

from __future__ import annotations

import re

from salus.errors import UnitUnknown, nearest
from salus.formats.csv_source import CodeEntry, CodeFamily, Source
from salus.formats.strict_yaml import Section
from salus.units import read_unit

ROLES = ("event", "birth", "death", "follow_up_end", "anchor")
ANY = "//*"
ROOT_FIX = "write it as '^([^.]+)[.]'"


def read_codes(top: Section) -> tuple[tuple[CodeEntry, ...], tuple[CodeFamily, ...]]:
    """The codes that are listed, and the families (``PREFIX//*``)."""
    listed, families = [], []
    for name, section in top.sections("codes"):
        if name.endswith(ANY):
            families.append(_family(name.removesuffix(ANY), section))
        else:
            listed.append(_code(name, section))
    return tuple(listed), tuple(families)


def _unit(code: str, section: Section) -> str:
    """The code's unit in UCUM; none where it has none."""
    written = section.text("unit", "")
    if not written:
        return ""
    try:
        return read_unit(written)
    except UnitUnknown as error:
        raise UnitUnknown(f"{error.what} for '{code}'", where=str(section.file), fix=error.fix) from error


def _code(name: str, section: Section) -> CodeEntry:
    decimals = section.number("decimals")
    entry = CodeEntry(
        code=name,
        description=section.text("description"),
        unit=_unit(name, section),
        low=section.number("low"),
        high=section.number("high"),
        range_source=section.text("range_source", ""),
        decimals=None if decimals is None else int(decimals),
        parents=section.words("parents"),
        role=section.one_of("role", ROLES, "event"),
    )
    section.done()
    if (entry.low is not None or entry.high is not None) and not entry.range_source:
        raise section.wrong(f"the range of '{name}' has no source", "add 'range_source: who says so'")
    return entry


def _family(prefix: str, section: Section) -> CodeFamily:
    family = CodeFamily(prefix=prefix, description=section.text("description"), root=section.text("root", ""))
    section.done()
    if "{}" not in family.description:
        raise section.wrong(
            f"the description of '{prefix}{ANY}' has no place for the cell", "write {} where the cell stands"
        )
    try:
        groups = re.compile(family.root).groups
    except re.error as error:
        raise section.wrong(f"'root' of '{prefix}{ANY}' is no pattern", ROOT_FIX) from error
    if family.root and not groups:
        raise section.wrong(f"'root' of '{prefix}{ANY}' has no group", ROOT_FIX)
    return family


def check_prefixes(source: Source, top: Section) -> None:
    """A category needs codes, and codes that tell which column they came from."""
    codes = [entry.code for entry in source.codes] + [f"{family.prefix}{ANY}" for family in source.families]
    prefixes = [code.rpartition("//")[0] for code in codes]
    for table in source.tables:
        said: dict[str, str] = {}
        for fact in table.facts + table.column_facts:
            if not fact.each:
                continue
            if fact.each not in prefixes:
                raise top.wrong(
                    f"no code begins with '{fact.each}//' of '{fact.name}'{nearest(fact.each, prefixes)}",
                    f"list its codes, or add '{fact.each}{ANY}: {{description: … {{}}}}' under codes",
                )
            if fact.each in said:
                raise top.wrong(
                    f"'{said[fact.each]}' and '{fact.name}' become the same codes",
                    "give each a prefix of its own",
                )
            said[fact.each] = fact.name
