"""The tables of numbers in the docs, made from `benchmarks/results`. Run: `make docs`."""

from __future__ import annotations

from benchmarks.blocks import ROOT, rewrite
from benchmarks.rows import Row, read_rows

REFERENCE = ROOT / "docs" / "reference" / "benchmarks.md"
BLOCKS = (
    (ROOT / "README.md", "numbers", "spine"),
    (REFERENCE, "numbers", "spine"),
    (REFERENCE, "intake", "intake"),
)
"""Of each generated table its page, its name there, and the rows that it shows."""
ABSENT = "Not measured yet: run the command above."


def table(rows: list[Row]) -> str:
    """Write the rows as a Markdown table with where and when they were computed."""
    if not rows:
        return ABSENT
    heads = "| what | value (95 % interval) | wanted | met | beside it |\n| --- | --- | --- | --- | --- |"
    lines = [_line(row) for row in rows]
    made = sorted({f"{row.hardware}, commit {row.commit[:10]}, seed {row.seed}" for row in rows})
    return "\n".join([heads, *lines, "", f"Computed on {'; '.join(made)} by `{rows[0].command}`."])


def _line(row: Row) -> str:
    value = "not measured" if row.value is None else number(row.value)
    if row.value is not None and row.lower is not None and row.upper is not None:
        value += f" ({number(row.lower)} to {number(row.upper)})"
    sign = "at least" if row.direction == "max" else "at most"
    beside = "" if row.baseline is None else number(row.baseline)
    met = "yes" if row.met else "**no**"
    unit = "" if row.unit == "1" else f" {row.unit}"
    return f"| {row.name} | {value}{unit} | {sign} {number(row.target)}{unit} | {met} | {beside} |"


def number(value: float) -> str:
    """Show a number with as many digits as mean something.

    >>> number(0.8534), number(11.62), number(412345.6), number(-0.0123)
    ('0.853', '11.6', '412,346', '-0.012')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


if __name__ == "__main__":
    for page, name, rows in BLOCKS:
        rewrite(page, name, table(read_rows(rows)))
