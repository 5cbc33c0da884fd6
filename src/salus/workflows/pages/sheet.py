"""A sheet is the content of one page, made by a job and shown by others: words, tables and pictures in sections.

A folder holds ``sheet.json`` and the pictures it names as SVG files. The workspace shows it inside its own frame;
a job can also write it as one HTML file that needs nothing else.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from salus.errors import SheetBroken

SHEET_FILE, FORM = "sheet.json", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One picture: its file beside the sheet, its caption, what it says in words; ``label``: REAL or SYNTHETIC."""

    file: str
    caption: str
    alternative: str
    width: int
    height: int
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of texts; the first ``words_first`` columns are words, the others numbers."""

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words_first: int = 1
    empty: str = "nothing to show"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One sentence about one kind of trouble, and whether a person should look."""

    look: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a page. ``mark``: a warning in a box; ``folded``: tables behind a click."""

    name: str
    heading: str
    words: tuple[str, ...] = ()
    mark: str = ""
    checks: tuple[Check, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page's content. ``made``: ISO 8601 with zone; ``digest``: of the data shown; ``seed``: None: nothing drawn."""

    title: str
    lead: str
    made: str
    digest: str
    seed: int | None
    sections: tuple[Section, ...]


def write_sheet(sheet: Sheet, folder: Path, *, pictures: Mapping[str, str]) -> Path:
    """Write ``folder``/sheet.json and its pictures (file name -> SVG), whole or not at all; other files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures.items():
        (folder / name).write_text(svg, encoding="utf-8")
    path, partial = folder / SHEET_FILE, folder / f".{SHEET_FILE}.partial"
    partial.write_text(json.dumps({"form": FORM, **asdict(sheet)}, indent=1) + "\n", encoding="utf-8")
    shutil.move(partial, path)
    return path


def read_sheet(folder: Path) -> Sheet:
    """Read what :func:`write_sheet` wrote; raises SheetBroken (SAL-703)."""
    path = folder / SHEET_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("form") != FORM:
            raise ValueError("another form")
        sections = tuple(_section(part) for part in content.pop("sections"))
        return Sheet(**content, sections=sections)
    except FileNotFoundError as error:
        raise SheetBroken(
            "this page has not been made yet", where=str(path), fix="run the job that makes it again"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SheetBroken(
            f"'{path.name}' is cut short or of another form",
            where=str(path),
            fix="run the job that makes it again",
        ) from error


def _section(part: dict[str, object]) -> Section:
    """Rebuild a section from JSON."""
    lists = {name: part.pop(name) for name in ("checks", "figures", "tables", "folded")}
    if not all(isinstance(rows, list) for rows in lists.values()):
        raise ValueError("a list is missing")
    texts = {name: tuple(part.pop(name)) for name in ("words", "notes")}  # type: ignore[arg-type]
    return Section(
        **part,  # type: ignore[arg-type]
        **texts,
        checks=tuple(Check(**row) for row in lists["checks"]),  # type: ignore[attr-defined]
        figures=tuple(Figure(**row) for row in lists["figures"]),  # type: ignore[attr-defined]
        tables=tuple(_table(row) for row in lists["tables"]),  # type: ignore[attr-defined]
        folded=tuple(_table(row) for row in lists["folded"]),  # type: ignore[attr-defined]
    )


def _table(row: dict[str, object]) -> Table:
    rows = tuple(tuple(str(cell) for cell in line) for line in row.pop("rows"))  # type: ignore[attr-defined]
    return Table(rows=rows, heads=tuple(row.pop("heads")), **row)  # type: ignore[arg-type]
