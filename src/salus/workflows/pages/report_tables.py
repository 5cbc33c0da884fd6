"""The tables of the report, from the numbers of a run; what a run did not compute is said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from salus.findings import Finding
from salus.workflows.pages.render import Table
from salus.workflows.pages.words import NOT_COMPUTED, count, interval, number
from salus.workflows.stages import Json

WHOLE = ("", "all", "overall")
COMPARISONS = ("synthetic", "ceiling", "floor")
WORST = 12


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One number at the top of the page."""

    name: str
    value: str
    note: str = ""


def at(tree: Json, *path: str) -> Json:
    """What lies at ``path`` in a tree of JSON values, or None."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def figure(tree: Json, *path: str) -> float | None:
    """The number at ``path``; of an interval its value."""
    found = at(tree, *path)
    if isinstance(found, dict):
        found = found.get("value")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _said(tree: Json, *path: str, unit: str = "") -> str:
    return number(figure(tree, *path), unit, NOT_COMPUTED)


def _counted(tree: Json, *path: str) -> str:
    found = figure(tree, *path)
    return NOT_COMPUTED if found is None else count(found)


def _bounded(row: Json, name: str, digits: int = 3) -> str:
    lower, upper = figure(row, name, "lower"), figure(row, name, "upper")
    return interval(figure(row, name), lower, upper, digits)


def key_numbers(summary: Json) -> list[KeyNumber]:
    """The first numbers a reader looks for."""
    trained, drawn = figure(summary, "train", "seconds"), figure(summary, "generate", "patients_per_second")
    parts = {name: _counted(summary, "patients", name) for name in ("train", "tuning", "held_out")}
    ceiling = _said(summary, "fidelity", "ceiling")
    return [
        KeyNumber(
            "Real patients trained on",
            parts["train"],
            f"{parts['tuning']} to stop, {parts['held_out']} held out",
        ),
        KeyNumber(
            "Rows kept", _counted(summary, "books", "kept"), f"of {_counted(summary, 'books', 'read')} read"
        ),
        KeyNumber(
            "Training",
            number(trained, "s", NOT_COMPUTED),
            f"best loss {_said(summary, 'train', 'best_loss')} nats per fact",
        ),
        KeyNumber(
            "Synthetic patients",
            _counted(summary, "generate", "patients"),
            f"{number(drawn, 'per second', NOT_COMPUTED)}",
        ),
        KeyNumber("Fidelity", _said(summary, "fidelity", "overall"), f"real against real: {ceiling}"),
    ]


def run_tables(summary: Json) -> list[Table]:
    """Books, patients and times."""
    books = ("read", "kept", "rejected")
    kept = Table(
        name="t-books",
        caption="Books: rows read = kept + rejected",
        heads=("what", "rows"),
        rows=tuple((name, _counted(summary, "books", name)) for name in books),
    )
    rows = tuple(
        (
            label,
            _said(summary, job, "seconds", unit="s"),
            _said(summary, job, "cpu_seconds", unit="s"),
            _said(summary, job, "patients_per_second", unit="per s"),
        )
        for job, label in (("train", "training"), ("generate", "generation"))
    )
    heads = ("job", "time", "processor time", "patients")
    return [kept, Table(name="t-times", caption="Time and speed", heads=heads, rows=rows)]


def utility_table(summary: Json) -> Table:
    """Each task: trained on real, trained on synthetic, their ratio."""
    rows = []
    for row in _list(summary, "utility"):
        real, made = figure(row, "real_auroc"), figure(row, "synthetic_auroc")
        ratio = f"{made / real:.3f}" if real and made is not None else NOT_COMPUTED
        name = str(at(row, "task") or "task")
        rows.append((name, _bounded(row, "real_auroc"), _bounded(row, "synthetic_auroc"), ratio))
    heads = ("task", "AUROC, trained on real", "AUROC, trained on synthetic", "synthetic ÷ real")
    caption = "Trained on real against trained on synthetic, tested on real held-out patients"
    return Table(
        name="t-utility", caption=caption, heads=heads, rows=tuple(rows), empty="not computed in this run."
    )


def forecast_table(summary: Json) -> Table:
    """Each task: discrimination and calibration with the baseline beside."""
    columns = ("auroc", "baseline_auroc", "auprc", "brier", "slope", "intercept")
    rows = tuple(
        (str(at(row, "task") or "task"), *(_bounded(row, column) for column in columns))
        for row in _list(summary, "forecast")
    )
    heads = (
        "task",
        "AUROC",
        "baseline AUROC",
        "AUPRC",
        "Brier score",
        "calibration slope",
        "calibration intercept",
    )
    caption = "Forecast of real held-out patients"
    return Table(
        name="t-forecast", caption=caption, heads=heads, rows=rows, empty="not computed in this run."
    )


def _list(tree: Json, *path: str) -> list[Json]:
    found = at(tree, *path)
    return found if isinstance(found, list) else []


def compared(findings: Sequence[Finding]) -> pl.DataFrame:
    """One row a metric and population: synthetic, ceiling and floor beside each other."""
    columns = ("metric", "population", *COMPARISONS)
    rows: dict[tuple[str, str], dict[str, float | None]] = {}
    for finding in findings:
        if finding.comparison in COMPARISONS:
            beside = rows.setdefault((finding.metric, finding.population), {})
            beside[finding.comparison] = finding.value
    schema = dict.fromkeys(columns[:2], pl.String()) | dict.fromkeys(COMPARISONS, pl.Float64())
    records = [
        {"metric": metric, "population": population} | {name: beside.get(name) for name in COMPARISONS}
        for (metric, population), beside in rows.items()
    ]
    return pl.DataFrame(records, schema=schema)


def readable(metric: str) -> str:
    """A metric's name in words: ``fidelity.code_share`` → ``code share``."""
    return metric.split(".")[-1].replace("_", " ")


def fidelity_table(findings: Sequence[Finding]) -> Table:
    """Overall measures: synthetic between ceiling and floor."""
    whole = {
        (finding.metric, finding.comparison): finding
        for finding in findings
        if finding.population in WHOLE and finding.comparison in COMPARISONS
    }
    rows = []
    for metric in dict.fromkeys(metric for metric, _ in whole):
        cells = [whole.get((metric, name)) for name in COMPARISONS]
        said = (interval(cell.value, cell.lower, cell.upper) if cell else NOT_COMPUTED for cell in cells)
        rows.append((readable(metric), *said))
    heads = ("measure", "synthetic", "ceiling (other real patients)", "floor (shuffled)")
    return Table(
        name="t-fidelity",
        caption="Fidelity by measure",
        heads=heads,
        rows=tuple(rows),
        empty="not computed in this run.",
    )


def worst_tables(findings: Sequence[Finding]) -> list[Table]:
    """For each measure that is told by code or pair: where synthetic is furthest from the ceiling."""
    detailed = compared(findings).filter(~pl.col("population").is_in(list(WHOLE)))
    gap = (pl.col("synthetic") - pl.col("ceiling").fill_null(0.0)).abs()
    tables = []
    for number_of, (metric,) in enumerate(detailed.select("metric").unique(maintain_order=True).iter_rows()):
        mine = detailed.filter(pl.col("metric") == metric).drop_nulls("synthetic").sort(gap, descending=True)
        rows = tuple(
            (row["population"], *(number(row[name], missing=NOT_COMPUTED) for name in COMPARISONS))
            for row in mine.head(WORST).to_dicts()
        )
        caption = f"{readable(metric).capitalize()}: where synthetic is furthest from real against real"
        caption += f" ({min(WORST, mine.height)} of {mine.height})"
        heads = ("code or pair", "synthetic", "ceiling", "floor")
        tables.append(Table(name=f"t-worst-{number_of}", caption=caption, heads=heads, rows=rows))
    return tables


def made_with_table(summary: Json) -> Table:
    """Versions and hardware."""
    rows: list[tuple[str, str]] = []
    for part in ("versions", "hardware"):
        found = at(summary, part)
        if isinstance(found, dict):
            rows += [(name, str(value)) for name, value in found.items()]
        elif found:
            rows.append((part, str(found)))
    heads = ("what", "which")
    return Table(
        name="t-made",
        caption="Made with",
        heads=heads,
        rows=tuple(rows),
        words_first=2,
        empty="not recorded.",
    )
