"""The report: what the gate says, what was run, and the sheets of the run without single real patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from salus.workflows.pages.sheet import Section, Sheet, Table
from salus.workflows.pages.words import NOT_COMPUTED, count, interval, number
from salus.workflows.stages import Json

FIRST = ("privacy", "utility", "forecast")
"""Parts of the comparison that stand right after the gate."""
FROM_QUALITY = ("checks", "complete")
NOT_CARE = (
    "Not for clinical use. One run; no single real patient is on this page, only groups of at least five."
)


def at(tree: Json, *path: str) -> Json:
    """What lies at ``path`` in a tree of JSON values, or None."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def figure(tree: Json, *path: str) -> float | None:
    """The number at ``path``, or None."""
    found = at(tree, *path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def report_sheet(head: Sheet, summary: Json, *, comparison: Sheet | None, quality: Sheet | None) -> Sheet:
    """Put together the report under ``head``; None: that sheet has not been made."""
    shown = [part for part in comparison.sections if not part.patients] if comparison else []
    first = [part for name in FIRST for part in shown if part.name == name]
    sections = (
        _gate(summary),
        _run(summary),
        *first,
        *(part for part in shown if part not in first),
        *_missing(comparison, "comparison", "Synthetic and real patients"),
        *_from_quality(quality),
        *_missing(quality, "quality", "Quality of the real records"),
        Section(name="made-with", heading="Made with", tables=(_made_with(summary),)),
    )
    return replace(head, sections=sections)


def _missing(sheet: Sheet | None, name: str, heading: str) -> tuple[Section, ...]:
    words = ("This has not been made in this run.",)
    return () if sheet else (Section(name=f"no-{name}", heading=heading, words=words),)


def _from_quality(quality: Sheet | None) -> Iterator[Section]:
    """The checks and how complete the records are, under names of their own."""
    for part in quality.sections if quality else ():
        if part.name in FROM_QUALITY:
            tables = tuple(replace(table, name=f"quality-{table.name}") for table in part.tables)
            figures = tuple(replace(one, file=quality_file(one.file)) for one in part.figures)
            heading = f"Quality of the real records: {part.heading.lower()}"
            yield replace(
                part, name=f"quality-{part.name}", heading=heading, tables=tables, figures=figures, folded=()
            )


def quality_file(name: str) -> str:
    """What a picture of the quality sheet is called in the report.

    >>> quality_file("codes.svg")
    'quality-codes.svg'
    """
    return f"quality-{name}"


def _gate(summary: Json) -> Section:
    gate = at(summary, "gate")
    if not isinstance(gate, dict):
        return Section(name="gate", heading="Gate", mark=NOT_CARE, words=("No gate has judged this run.",))
    words = [f"{str(gate.get('verdict')).replace('_', ' ')}: {gate.get('reason')}."]
    if gate.get("exploratory"):
        words.append(f"The evidence is exploratory: {gate['exploratory']}")
    criteria = gate.get("criteria")
    rows = (
        tuple(_criterion(row) for row in criteria if isinstance(row, dict))
        if isinstance(criteria, list)
        else ()
    )
    heads = ("criterion", "measured on", "verdict", "value", "bound", "threshold",
             "outcomes still needed")  # fmt: skip
    table = Table(
        name="t-gate", caption="Every criterion of the protocol", heads=heads, rows=rows, words_first=3
    )
    reasons = tuple(
        f"{row.get('id')}: {row['reason']}"
        for row in (criteria if isinstance(criteria, list) else [])
        if isinstance(row, dict) and row.get("reason") and row.get("verdict") != "PASS"
    )
    heading = f"Gate: {str(gate['gate']).replace('->', ' to ')}" if gate.get("gate") else "Gate"
    return Section(
        name="gate", heading=heading, mark=NOT_CARE, words=tuple(words), tables=(table,), notes=reasons
    )


def _criterion(row: Mapping[str, Json]) -> tuple[str, ...]:
    plain = dict(row)
    return (
        str(row.get("id")),
        str(row.get("population")),
        str(row.get("verdict")).replace("_", " "),
        interval(figure(plain, "value"), figure(plain, "lower"), figure(plain, "upper")),
        str(row.get("bound")),
        str(row.get("threshold")),
        "–" if row.get("further_events") is None else count(figure(plain, "further_events")),
    )


def _counted(tree: Json, *path: str) -> str:
    found = figure(tree, *path)
    return NOT_COMPUTED if found is None else count(found)


def _run(summary: Json) -> Section:
    """Books, patients, times."""
    rows = [
        *((f"rows {name}", _counted(summary, "books", name)) for name in ("read", "kept", "rejected")),
        ("real patients trained on", _counted(summary, "patients", "train")),
        ("real patients used to stop training", _counted(summary, "patients", "tuning")),
        ("real patients held out", _counted(summary, "patients", "held_out")),
        ("synthetic patients", _counted(summary, "generate", "patients")),
        ("training", number(figure(summary, "train", "seconds"), "s", NOT_COMPUTED)),
        ("processor time of training", number(figure(summary, "train", "cpu_seconds"), "s", NOT_COMPUTED)),
        (
            "synthetic patients per second",
            number(figure(summary, "generate", "patients_per_second"), None, NOT_COMPUTED),
        ),
    ]
    table = Table(
        name="t-run", caption="Rows read = kept + rejected", heads=("what", "how much"), rows=tuple(rows)
    )
    return Section(name="run", heading="What was run", tables=(table,))


def _made_with(summary: Json) -> Table:
    rows: list[tuple[str, str]] = []
    for part in ("versions", "hardware"):
        found = at(summary, part)
        rows += [(name, str(value)) for name, value in found.items()] if isinstance(found, dict) else []
    return Table(
        name="t-made", caption="Versions and hardware", heads=("what", "which"), rows=tuple(rows), words_first=2,
        empty="not recorded.",
    )  # fmt: skip
