"""Fills a template: one file, no network, no script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from salus.workflows.pages import words

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What every page says about itself."""

    title: str
    lead: str
    made: datetime
    digest: str
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption; ``words_first`` columns are left-aligned words, the rest numbers."""

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words_first: int = 1
    empty: str = "None found."

    def __post_init__(self) -> None:
        """Refuse a table whose cells do not stand under their heads."""
        if any(len(row) != len(self.heads) for row in self.rows):
            raise ValueError(f"table {self.name}: a row does not have {len(self.heads)} cells")


def render(template: str, page: Page, **parts: object) -> str:
    """Fill ``template`` with the page's own facts and its parts; everything is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": words.count, "number": words.number, "share": words.share}
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(page=page, style=style, **parts)
