"""The tables of the report, from the numbers of a run; what a run did not compute is said so."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from salus.workflows.pages.render import Table
from salus.workflows.pages.words import NOT_COMPUTED, count, interval, number, share
from salus.workflows.stages import Json

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
        if figure(row, "ratio") is not None:
            ratio = _bounded(row, "ratio")
        name = str(at(row, "task") or "task")
        rows.append((name, _bounded(row, "real_auroc"), _bounded(row, "synthetic_auroc"), ratio))
    heads = ("task", "AUROC, trained on real", "AUROC, trained on synthetic", "synthetic ÷ real")
    caption = "Trained on real against trained on synthetic, tested on real held-out patients"
    return Table(
        name="t-utility", caption=caption, heads=heads, rows=tuple(rows), empty="not computed in this run."
    )


def forecast_table(summary: Json) -> Table:
    """Each task: discrimination and calibration with the baseline beside."""
    columns = ("auroc", "baseline_auroc", "auroc_minus_baseline", "auprc", "brier", "slope", "intercept")
    rows = tuple(
        (str(at(row, "task") or "task"), *(_bounded(row, column) for column in columns))
        for row in _list(summary, "forecast")
    )
    heads = (
        "task",
        "AUROC",
        "baseline AUROC",
        "AUROC less baseline",
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


def measures(summary: Json) -> pl.DataFrame:
    """The fidelity measures: name, synthetic with its bounds, ceiling and floor."""
    columns = ("synthetic", "lower", "upper", "ceiling", "floor")
    rows = [
        {"name": str(at(row, "measure"))} | {column: figure(row, column) for column in columns}
        for row in _list(summary, "fidelity", "measures")
    ]
    return pl.DataFrame(rows, schema={"name": pl.String()} | dict.fromkeys(columns, pl.Float64()))


def fidelity_table(summary: Json) -> Table:
    """Every measure: synthetic between ceiling and floor."""
    rows = tuple(
        (
            row["name"],
            interval(row["synthetic"], row["lower"], row["upper"]),
            interval(row["ceiling"], None, None),
            interval(row["floor"], None, None),
        )
        for row in measures(summary).to_dicts()
    )
    heads = ("measure", "synthetic", "ceiling: other real patients", "floor: shuffled")
    caption = "Fidelity by measure, 1 is the same as the real patients trained on"
    return Table(
        name="t-fidelity", caption=caption, heads=heads, rows=rows, empty="not computed in this run."
    )


def code_table(by_code: pl.DataFrame | None, meanings: dict[str, str]) -> Table:
    """The codes whose share of patients or values are furthest apart."""
    rows: tuple[tuple[str, ...], ...] = ()
    of = 0
    if by_code is not None:
        apart = (pl.col("real_share") - pl.col("share")).abs()
        worst = pl.max_horizontal(apart, 1 - pl.col("values_alike").fill_null(1.0))
        of = by_code.height
        rows = tuple(
            (
                str(row["code"]),
                meanings.get(str(row["code"]), ""),
                share(row["real_share"]),
                share(row["share"]),
                number(row["real_rows"]),
                number(row["rows"]),
                number(row["values_alike"]),
            )
            for row in by_code.sort(worst, descending=True).head(WORST).to_dicts()
        )
    heads = (
        "code",
        "meaning",
        "real patients",
        "synthetic patients",
        "real rows a patient",
        "synthetic rows a patient",
        "values alike",
    )
    caption = f"The codes furthest apart ({len(rows)} of {of}); values alike: 1 is the same"
    return Table(
        name="t-codes",
        caption=caption,
        heads=heads,
        rows=rows,
        words_first=2,
        empty="not computed in this run.",
    )


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
