"""Blocks of generated text inside hand-written pages, between two comment lines that name them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def replace_block(text: str, name: str, body: str) -> str:
    """Put ``body`` between ``<!-- name: generated -->`` and ``<!-- /name -->``.

    >>> replace_block("a\\n<!-- map: generated -->\\nold\\n<!-- /map -->\\nb", "map", "new")
    'a\\n<!-- map: generated -->\\nnew\\n<!-- /map -->\\nb'
    """
    found = block_pattern(name).search(text)
    if not found:
        raise ValueError(f"no block named {name!r}: add '<!-- {name}: generated -->' and '<!-- /{name} -->'")
    return f"{text[: found.start(1)]}{body.strip()}\n{text[found.end(1) :]}"


def block(text: str, name: str) -> str:
    """Give what stands between the two comment lines."""
    found = block_pattern(name).search(text)
    return found.group(1).strip() if found else ""


def block_pattern(name: str) -> re.Pattern[str]:
    """Match the block called ``name``; group 1 is its body."""
    return re.compile(rf"<!-- {name}: generated -->\n(.*?)<!-- /{name} -->", re.DOTALL)


def rewrite(page: Path, name: str, body: str) -> None:
    """Rewrite one block of a page where it differs."""
    old = page.read_text(encoding="utf-8")
    new = replace_block(old, name, body)
    if new != old:
        page.write_text(new, encoding="utf-8")
