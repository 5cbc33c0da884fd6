"""The units in which a source's numbers are written, where they are not those of their codes."""

from __future__ import annotations

from salus.errors import UnitUnknown
from salus.formats.csv_source import Fact, Source, Use
from salus.formats.strict_yaml import Section
from salus.units import conversion, read_unit

IN = "in"
SAME = (1.0, 0.0)


def read_own_unit(section: Section) -> str:
    """The unit of a fact's cells in UCUM; none where it is the code's."""
    written = section.text(IN, "")
    if not written:
        return ""
    try:
        return read_unit(written)
    except UnitUnknown as error:
        raise UnitUnknown(error.what, where=f"{section.file}, {section.place}", fix=error.fix) from error


def to_code_unit(fact: Fact, source: Source) -> tuple[float, float]:
    """Factor and offset from a fact's cells to the unit of its code: code's = factor * cell + offset."""
    return conversion(fact.unit, source.entry(fact.code).unit, code=fact.code) if fact.unit else SAME


def check_units(source: Source, top: Section) -> None:
    """Only numbers have a unit, one that converts to the code's, and told in one place."""
    for table in source.tables:
        for fact in (fact for fact in table.facts + table.column_facts if fact.unit):
            if fact.is_category or fact.age or fact.is_subject:
                raise top.wrong(
                    f"'{fact.name}' of table '{table.name}' is no number: it has no unit", f"leave out '{IN}'"
                )
            if table.column(Use.UNIT):
                raise top.wrong(
                    f"the unit of '{fact.name}' is told twice: by '{IN}' and by the table's unit column",
                    f"leave out '{IN}', or ignore the column",
                )
            if not source.entry(fact.code).unit:
                raise top.wrong(f"'{fact.code}' has no unit to convert '{fact.name}' to", "give the code one")
            try:
                to_code_unit(fact, source)
            except UnitUnknown as error:
                raise UnitUnknown(
                    error.what, where=f"{top.file}, tables.{table.name}", fix=error.fix
                ) from error
