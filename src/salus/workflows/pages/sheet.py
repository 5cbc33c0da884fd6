"""A sheet is the content of one page, made by a job and shown by others: words, tables and pictures in sections.

A folder holds ``sheet.json`` and the pictures it names as SVG files. The workspace shows it inside its own frame;
a job can also write it as one HTML file that needs nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

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

    def __post_init__(self) -> None:
        """Refuse a table whose cells do not stand under their heads."""
        if any(len(row) != len(self.heads) for row in self.rows):
            raise ValueError(f"table {self.name}: a row does not have {len(self.heads)} cells")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One sentence about one kind of trouble, and whether a person should look."""

    look: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a page. ``mark``: a warning in a box; ``folded``: tables behind a click.

    ``patients``: single real patients are shown; a file that is passed on leaves this part out.
    """

    name: str
    heading: str
    words: tuple[str, ...] = ()
    mark: str = ""
    checks: tuple[Check, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    patients: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page's content. ``made``: ISO 8601 with zone; ``digest``: of the data shown; ``seed``: None: nothing drawn."""

    title: str
    lead: str
    made: str
    digest: str
    seed: int | None
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What a file says of itself before it is read."""

    form: int


def figures_of(sheet: Sheet) -> tuple[Figure, ...]:
    """Every picture a sheet names, in the order of its sections."""
    return tuple(figure for section in sheet.sections for figure in section.figures)


def write_sheet(sheet: Sheet, folder: Path, *, pictures: Mapping[str, str]) -> Path:
    """Write ``folder``/sheet.json and its pictures (file name -> SVG); a sheet is there whole or not at all.

    Pictures of an earlier sheet that this one does not name are removed; all other files stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _earlier_files(folder)
    for name, svg in pictures.items():
        _write_whole(folder / name, svg)
    path = folder / SHEET_FILE
    _write_whole(path, json.dumps({"form": FORM, **asdict(sheet)}, indent=1, ensure_ascii=False) + "\n")
    for name in earlier - {figure.file for figure in figures_of(sheet)} - set(pictures):
        (folder / name).unlink(missing_ok=True)
    return path


def read_sheet(folder: Path) -> Sheet:
    """Read what :func:`write_sheet` wrote; raises SheetBroken (SAL-703)."""
    path, again = folder / SHEET_FILE, "run the job that makes it again"
    try:
        content = path.read_bytes()
        if msgspec.json.decode(content, type=_Form).form != FORM:
            raise msgspec.ValidationError("another form")
        return msgspec.json.decode(content, type=Sheet)
    except FileNotFoundError as error:
        raise SheetBroken("this page has not been made yet", where=str(path), fix=again) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = f"'{path.name}' is cut short or of another form"
        raise SheetBroken(what, where=str(path), fix=again) from error


def read_pictures(sheet: Sheet, folder: Path) -> dict[str, str]:
    """The pictures a sheet names, file name -> SVG; raises SheetBroken (SAL-703) where one is missing."""
    pictures = {}
    for figure in figures_of(sheet):
        path = folder / Path(figure.file).name
        try:
            pictures[figure.file] = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise SheetBroken(
                f"the picture '{path.name}' is missing beside its page",
                where=str(path),
                fix="run the job that makes it again",
            ) from error
    return pictures


def _earlier_files(folder: Path) -> set[str]:
    """SVG files in this very folder that the sheet there names; none where it cannot be read."""
    try:
        named = {figure.file for figure in figures_of(read_sheet(folder))}
    except SheetBroken:
        return set()
    return {name for name in named if name.endswith(".svg") and Path(name).name == name}


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
