"""Describe the table in a source.yaml, then ingest, train, generate and export.

Method ``unchecked``: training does not stop when it begins to learn patients by heart, which no other contestant asks.
Method ``private``: ε = 3 for a patient, vocabulary, bins and caps inside it; how far counts may reach is public.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from benchmarks.peers.columns import CONTEXT, COUNTS, EVENTS, KINDS, PATIENT
from benchmarks.peers.contest import Clock, asked
from benchmarks.peers.salus.stays import measure_stays
from salus.progress import QUIET
from salus.trajectory.memorisation import MOST_TOLD_APART
from salus.workflows.export import export
from salus.workflows.generate import generate
from salus.workflows.ingest import ingest
from salus.workflows.train import TrainChoices, train
from salus.workflows.train_private import PrivateChoices

VISITS, PATIENTS, NUMBER = "visits.csv", "patients.csv", "row"
FIRST, FURTHER = "VISIT//FIRST", "VISIT//FURTHER"
SHARES = {"train": 0.9, "tuning": 0.1}
"""Nobody need be held out: whom we are judged by is in another file."""
PRIVATE_SHARES = {"train": 0.995, "tuning": 0.005}
"""Private training looks at no tuning patient."""

EPSILON = 3.0
Ranges = dict[str, tuple[int, int]]
"""How far the counts of a stay may reach, lowest and highest."""
RANGES: Ranges = {
    "time_in_hospital": (1, 14),
    "num_lab_procedures": (0, 150),
    "num_procedures": (0, 10),
    "num_medications": (0, 100),
    "number_outpatient": (0, 30),
    "number_emergency": (0, 30),
    "number_inpatient": (0, 30),
    "number_diagnoses": (0, 20),
}
"""For private training, as MST got public domains: 1 to 14 days is how the publisher chose stays (Strack et al. 2014);
the others are wide guesses, made without looking."""


def main() -> None:
    """Answer one request."""
    request, clock = asked(("default", "unchecked", "private"), kinds=(*KINDS, "icu")), Clock()
    if request.kind == "icu":
        measure_stays(request, clock)
        clock.write(request.folder)
        return
    work = request.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    table = pl.read_csv(request.train, infer_schema=False)
    private = PrivateChoices(epsilon=EPSILON) if request.method == "private" else None
    source = write_source(table, work, kind=request.kind, ranges=RANGES if private else {})
    with clock.phase("fit"):
        ingest(source, work / "timeline", inputs=work, progress=QUIET)
        choices = TrainChoices(
            minutes=request.budget_seconds / 60,
            seed=request.seed,
            memorisation=1.0 if request.method == "unchecked" else MOST_TOLD_APART,
            private=private,
        )
        found = train(work / "timeline", work / "model", choices=choices, progress=QUIET)
    clock.notes |= {"stopped": found.stopped, "epochs": round(found.epochs, 2), "best_loss": found.best_loss}
    if found.privacy is not None:
        clock.notes |= {"epsilon": found.privacy.epsilon, "delta": found.privacy.delta}
    with clock.phase("sample"):
        patients = table.height if request.kind == "flat" else table[PATIENT].n_unique()
        drawn = work / "synthetic"
        generate(work / "model", drawn, patients=patients, seed=request.seed, progress=QUIET)
        export(drawn, work / "csv", like=source)
        judged_table(work / "csv", request.kind).write_csv(request.synthetic)
    clock.write(request.folder)


def write_source(table: pl.DataFrame, work: Path, *, kind: str, ranges: Ranges) -> Path:
    """Write the table as a source of ours: a flat row is a patient; sequences are patients and their visits."""
    rows = table.with_row_index(NUMBER, offset=1)
    if kind == "flat":
        rows.select(NUMBER, pl.col(NUMBER).alias(PATIENT), *CONTEXT, *EVENTS).write_csv(work / VISITS)
    else:
        numbered = rows.with_columns(pl.col(PATIENT).cast(pl.Int64) + 1)
        numbered.select(NUMBER, PATIENT, *EVENTS).write_csv(work / VISITS)
        numbered.unique(PATIENT, keep="first", maintain_order=True).select(PATIENT, *CONTEXT).write_csv(
            work / PATIENTS
        )
    source = work / "source.yaml"
    source.write_text(yaml.safe_dump(described(kind, ranges), sort_keys=False), encoding="utf-8")
    return source


def described(kind: str, ranges: Ranges) -> dict[str, Any]:
    """The source.yaml: one visit of each patient, or what is true of the patient and visits in their order."""
    facts = {name: _fact(name) for name in (*CONTEXT, *EVENTS)}
    subject = {PATIENT: {"subject": True}}
    if kind == "flat":
        visits = {"row": FIRST, "columns": {NUMBER: {"row_number": True}, **subject, **facts}}
        tables = {"visits": {"files": [VISITS], **visits}}
    else:
        fixed = {name: facts.pop(name) | {"static": True} for name in CONTEXT}
        visits = {
            "row": FURTHER,
            "first_row": FIRST,
            "columns": {NUMBER: {"time": "order"}, **subject, **facts},
        }
        tables = {
            "patients": {"files": [PATIENTS], "columns": {**subject, **fixed}},
            "visits": {"files": [VISITS], **visits},
        }
    return {
        "name": f"diabetes130-{kind}",
        "input": ".",
        "time": {"zero": "2000-01-01T00:00:00", "grain": "day"},
        "anchor": FIRST,
        "missing": [],
        "splits": {"seed": 1, "shares": PRIVATE_SHARES if ranges else SHARES},
        "tables": tables,
        "codes": _codes(kind, ranges),
    }


def _fact(name: str) -> dict[str, Any]:
    return {"code": f"COUNT//{name.upper()}"} if name in COUNTS else {"each": name.upper()}


def _codes(kind: str, ranges: Ranges) -> dict[str, Any]:
    codes: dict[str, Any] = {FIRST: {"description": "First visit", "role": "anchor"}}
    codes |= {FURTHER: {"description": "A further visit"}} if kind == "sequences" else {}
    for name in (*CONTEXT, *EVENTS):
        if name in COUNTS:
            codes[f"COUNT//{name.upper()}"] = {"description": name, "unit": "{count}", "decimals": 0}
            if name in ranges:
                low, high = ranges[name]
                codes[f"COUNT//{name.upper()}"] |= {
                    "low": low,
                    "high": high,
                    "range_source": "plausible for one stay",
                }
        else:
            codes[f"{name.upper()}//*"] = {"description": name + " {}"}
    return codes


def judged_table(made: Path, kind: str) -> pl.DataFrame:
    """The columns that are judged, rows in the order they were written."""
    visits = pl.read_csv(made / VISITS, infer_schema=False)
    if kind == "sequences":
        patients = pl.read_csv(made / PATIENTS, infer_schema=False)
        visits = visits.join(patients, on=PATIENT, how="left", maintain_order="left")
    return visits.select(KINDS[kind])


if __name__ == "__main__":
    main()
