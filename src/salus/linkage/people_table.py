"""Who the rows of a table are, by declaration: CSV or Parquet, a row a patient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import polars as pl

from salus.errors import ColumnMissing, InputMissing, InputUnreadable, nearest
from salus.linkage.declaration import System
from salus.linkage.fhir_patient import Numbering
from salus.linkage.identity import Identity

LOOKED_AT = 1_000
NO_NUMBER = "the patient's number is missing or is none"


def read_people(system: System, number: Numbering) -> Iterator[Identity | str]:
    """Each row's identity, or why there is none. Raises InputMissing, InputUnreadable and ColumnMissing."""
    rows = _rows(system)
    wanted = [*system.columns.values(), *system.identifiers.values()]
    for name in wanted:
        if name not in rows.columns:
            raise ColumnMissing(
                f"'{system.identities.name}' has no column '{name}'{nearest(name, rows.columns)}",
                where=f"{system.identities}, the first line",
                fix="correct the column's name in the LINK.yaml",
            )
    _check_dates(rows, system)
    for row in rows.select(list(dict.fromkeys(wanted))).iter_rows(named=True):
        cells = {name: _text(row[column]) for name, column in system.columns.items()}
        subject = number(cells["id"]) if cells["id"] else None
        if subject is None:
            yield NO_NUMBER
            continue
        born = row[system.columns["birth_date"]] if "birth_date" in system.columns else None
        numbers = ((authority, _text(row[column])) for authority, column in system.identifiers.items())
        sex = cells.get("sex", "")
        yield Identity(
            system=system.name,
            subject=subject,
            id=cells["id"],
            given=cells.get("given", ""),
            family=cells.get("family", ""),
            former=cells.get("former", ""),
            birth_date=_day(born, system.dates),
            sex=system.sexes.get(sex, sex.upper() if sex.upper() in ("M", "F", "O") else ""),
            street=cells.get("street", ""),
            postcode=cells.get("postcode", ""),
            phone=cells.get("phone", ""),
            identifiers=tuple(f"{authority}|{told}" for authority, told in numbers if told),
        )


def _check_dates(rows: pl.DataFrame, system: System) -> None:
    """Refuse a form of dates by which not one of the birth dates can be read: all would be missing in silence."""
    column = system.columns.get("birth_date")
    told = [cell for cell in rows[column].head(LOOKED_AT) if _text(cell)] if column else []
    if told and not any(_day(cell, system.dates) for cell in told):
        raise InputUnreadable(
            f"no birth date in '{column}' of '{system.identities.name}' is written as '{system.dates}'",
            where=str(system.identities),
            fix="correct 'dates' in the LINK.yaml, for example \"%d.%m.%Y\"",
        )


def _rows(system: System) -> pl.DataFrame:
    path = system.identities
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False, separator=system.separator)
    except FileNotFoundError as error:
        raise InputMissing(
            f"there is no file '{path.name}'", where=str(path), fix="correct 'identities' in the LINK.yaml"
        ) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputUnreadable(
            f"'{path.name}' cannot be read as a table ({type(error).__name__})",
            where=str(path),
            fix="name a CSV file in UTF-8 with a header, or a Parquet file",
        ) from None


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _day(cell: object, form: str) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    try:
        return datetime.strptime(_text(cell), form).date()
    except ValueError:
        return None
