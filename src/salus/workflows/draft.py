"""Draft: a folder of CSV files becomes a source.yaml for a person to finish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from salus.errors import SettingsRefused
from salus.formats.read_source import read_source
from salus.intake.drafting import Draft, DraftTable, draft_of, guesses
from salus.progress import Progress

LOOK = "LOOK: "
"""Begins the comment of whatever a person must look at."""
WIDE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What was written. ``columns``: table, column, guess and why; ``open_guesses``: how many must be looked at."""

    source: Path
    columns: tuple[tuple[str, str, str, str], ...]
    open_guesses: int
    passed_over: Mapping[str, str]


def draft(folder: Path, to: Path, *, progress: Progress) -> Drafted:
    """Look at the files of ``folder`` and write the draft to ``to``, which must not be there yet.

    Raises SettingsRefused (SAL-308) where it is; else as :func:`salus.intake.drafting.draft_of`.
    """
    if to.exists():
        raise SettingsRefused(
            f"'{to.name}' is there already", where=str(to), fix="choose another file with --to, or remove it"
        )
    with progress.step("Looking at the files"):
        found = draft_of(folder)
    text = "\n".join(_lines(found, folder)) + "\n"
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f".{to.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        read_source(partial)
        partial.rename(to)
    finally:
        partial.unlink(missing_ok=True)
    return Drafted(
        source=to,
        columns=tuple(
            (
                table.name,
                guess.name,
                "not read" if "ignore" in guess.use else _said(guess.use),
                ("" if guess.sure else LOOK) + guess.why,
            )
            for table, guess in guesses(found)
        ),
        open_guesses=sum(not guess.sure for _, guess in guesses(found)),
        passed_over=found.passed_over,
    )


def _lines(found: Draft, folder: Path) -> Iterator[str]:
    yield "# A draft: Salus looked at the files and guessed. Whatever says LOOK needs a person who knows the data."
    yield "# What each key means: `salus draft --help` and docs/how-to/own-csv.md."
    yield f"name: {_said(_slug(folder.name))}"
    yield "title: ''                        # one line for people"
    yield "licence: ''                      # of the data"
    yield f"input: {_said(str(folder.resolve()))}"
    yield "time:"
    if found.needs_zero:
        yield f"  zero: 2000-01-01T00:00:00     # {LOOK}what has no date of its own counts from here"
    yield f"  grain: {found.grain}"
    yield f"  zone: UTC                      # {LOOK}of times that do not say theirs"
    if found.patients:
        yield f"patients: {_said(found.patients)}   # rows about anybody who is not in it are rejected"
    yield f"missing: {_said(['', *(word for word in found.missing if word)])}"
    yield "splits:"
    yield "  seed: 1"
    yield "  shares: {train: 0.7, tuning: 0.1, held_out: 0.2}"
    yield "tables:"
    for table in found.tables:
        yield from _table_lines(table)
    yield f"codes:                           # {LOOK}units (UCUM), plausible ranges, better descriptions"
    for code, about in found.codes.items():
        yield f"  {_said(code)}: {_said(about)}"
    for prefix, words in found.families.items():
        yield f"  {_said(f'{prefix}//*')}: {_said({'description': words})}"


def _table_lines(table: DraftTable) -> Iterator[str]:
    yield f"  {_said(table.name)}:"
    yield f"    files: {_said(list(table.files))}"
    if table.row:
        yield f"    row: {_said(table.row)}"
    if table.remark:
        yield f"    # {LOOK}{table.remark}"
    yield "    columns:"
    for guess in table.columns:
        remark = guess.why if guess.sure else LOOK + guess.why
        yield f"      {_said(guess.name)}: {_said(guess.use)}   # {remark}"
    if table.facts:
        yield "    facts:"
        for name in table.facts:
            yield f"      {_said(name)}: {_said({'code': name})}"
        if table.left_out:
            yield f"      # {LOOK}{table.left_out} more names, of fewer than 5 patients each or unfit for a code"


def _said(value: object) -> str:
    """A value as YAML on one line."""
    plain = dict(value) if isinstance(value, Mapping) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=WIDE, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _slug(name: str) -> str:
    kept = "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
    return kept or "source"
