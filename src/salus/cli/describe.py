"""``salus describe``: a model's card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from salus.cli import console
from salus.workflows.describe import card_page, write_card
from salus.workflows.describe import describe as describe_model
from salus.workflows.pages.sheet import Section, Sheet, Table

WIDTH = 80


def describe(
    model: Annotated[Path, typer.Argument(help="The model's folder.", metavar="MODEL")],
    to: Annotated[
        Path | None, typer.Option(help="Write the card into this file, .html or .md, instead of showing it.")
    ] = None,
    as_json: console.JSON_OPTION = False,
) -> None:
    """Show a model's card: what it is for, from which data, how good, how private."""
    card = describe_model(model)
    if to is not None:
        write_card(model, card, to)
    if as_json:
        console.result(card, as_json)
    elif to is not None:
        console.result(card, as_json, [f"card: {to}"])
    else:
        screen = Console(width=min(WIDTH, Console().width), highlight=False)
        screen.print(shown(card_page(card)))


def shown(sheet: Sheet) -> Group:
    """The sheet for a terminal: headings, sentences and tables; what a page folds is left out."""
    parts: list[Text | Padding | RichTable] = [Text(sheet.title, style="bold"), Text(sheet.lead)]
    parts.append(Text(f"data {sheet.digest}"))
    for section in sheet.sections:
        parts += [Text(f"\n{section.heading}", style="bold underline"), *_section(section)]
    return Group(*parts)


def _section(section: Section) -> list[Text | Padding | RichTable]:
    parts: list[Text | Padding | RichTable] = [
        Padding(Text(text), (0, 0, 0, 2), expand=False) for text in section.words
    ]
    for table in section.tables:
        parts += [
            Padding(Text(table.caption, style="italic"), (0, 0, 0, 2), expand=False),
            Padding(_table(table), (0, 0, 0, 4), expand=False),
        ]
    return parts


def _table(table: Table) -> RichTable:
    laid = RichTable(box=None, show_header=len(table.heads) > 2, pad_edge=False)
    for number, head in enumerate(table.heads):
        right = number >= table.words_first
        laid.add_column(Text(head), justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        laid.add_row(*(Text(cell) for cell in row))
    return laid
