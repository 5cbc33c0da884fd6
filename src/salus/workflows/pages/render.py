"""Writes a sheet as one HTML file: its pictures inside, no network, no script."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from salus.workflows.pages.sheet import Sheet

TEMPLATES = Path(__file__).parent / "templates"
PLAIN = " =:;,/()!@&?*[]{}|'+-.%"
"""What may stand as it is inside a data URL; a quotation mark, angle brackets and a hash may not."""


def one_file(sheet: Sheet, pictures: Mapping[str, str]) -> str:
    """The whole page; everything is escaped, each picture (file name -> SVG) is an image of its own inside."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = datetime.fromisoformat(sheet.made).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return environment.get_template("sheet.html.j2").render(
        sheet=sheet,
        made=made,
        pictures={name: _data_url(svg) for name, svg in pictures.items()},
        style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
    )


def _data_url(svg: str) -> Markup:
    """The picture as an address that holds it: its style and names stay its own."""
    return Markup("data:image/svg+xml," + quote(svg.replace("%", "%25"), safe=PLAIN).replace("&", "&amp;"))
