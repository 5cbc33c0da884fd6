"""Writes a sheet as Markdown: its words and tables; pictures are left to the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from salus.workflows.pages.sheet import Section, Sheet, Table
from salus.workflows.pages.words import HELD


def markdown(sheet: Sheet) -> str:
    """The whole sheet; what the data say is escaped, so that no code of a source becomes a heading or a link."""
    lines = [f"# {_plain(sheet.title)}", "", _plain(sheet.lead), ""]
    lines += [f"- Made: {sheet.made}", f"- Data digest: `{sheet.digest}`"]
    lines += [f"- Seed: {sheet.seed}"] if sheet.seed is not None else []
    for section in sheet.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    lines = [f"## {_plain(section.heading)}", ""]
    lines += [f"> {_plain(section.mark)}", ""] if section.mark else []
    for text in section.words:
        lines += [_plain(text), ""]
    lines += _list([f"{'Look: ' if check.look else ''}{check.text}" for check in section.checks])
    for table in (*section.tables, *section.folded):
        lines += _table(table)
    lines += _list(section.notes)
    return lines[:-1]


def _list(texts: Sequence[str]) -> list[str]:
    return [*(f"- {_plain(text)}" for text in texts), ""] if texts else []


def _table(table: Table) -> list[str]:
    if not table.rows:
        return [f"**{_plain(table.caption)}:** {_plain(table.empty)}", ""]
    rules = ["---" if column < table.words_first else "---:" for column in range(len(table.heads))]
    rows = [[_plain(cell) for cell in row] for row in (table.heads, *table.rows)]
    laid = [rows[0], rules, *rows[1:]]
    return [f"**{_plain(table.caption)}**", "", *(f"| {' | '.join(row)} |" for row in laid), ""]


def _plain(text: str) -> str:
    r"""Text as it is: one line, without meaning for Markdown.

    >>> print(_plain("SEX//*|[x]"))
    SEX//\*\|\[x\]
    """
    one_line = " ".join(text.replace(HELD, " ").split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", one_line)
