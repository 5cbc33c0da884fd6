"""The table of error codes in the docs, made from the classes. Run: `make docs`."""

from __future__ import annotations

import inspect

from benchmarks.blocks import ROOT, rewrite
from salus import errors


def error_table() -> str:
    """Write one line an error: its code, its name, and what it means."""
    kinds = {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.SalusError)
    }
    lines = ["| code | name | meaning |", "| --- | --- | --- |"]
    for kind in sorted(kinds, key=lambda kind: kind.code):
        meaning = (inspect.getdoc(kind) or "").splitlines()[0]
        lines.append(f"| {kind.code} | `{kind.__name__}` | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    rewrite(ROOT / "docs" / "reference" / "errors.md", "errors", error_table())
