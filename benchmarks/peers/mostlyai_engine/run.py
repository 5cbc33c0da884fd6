"""Fit TabularARGN and sample: rows at once; of sequences the context first, then the encounters given it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd
from mostlyai.engine import TabularARGN

from benchmarks.peers.columns import CONTEXT, EVENTS, FLAT, PATIENT
from benchmarks.peers.contest import FLAT_TEXT, Asked, Clock, asked


def main() -> None:
    """Answer one request."""
    request, clock = asked(), Clock()
    train = pd.read_csv(request.train, dtype=dict.fromkeys(FLAT_TEXT, str), keep_default_na=False)
    made = flat(request, train, clock) if request.kind == "flat" else sequences(request, train, clock)
    made.to_csv(request.synthetic, index=False)
    clock.write(request.folder)


def flat(request: Asked, train: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    """One model of rows."""
    with clock.phase("fit"):
        model = fitted(request, "rows", train, minutes=request.budget_seconds / 60)
    with clock.phase("sample"):
        return model.sample(n_samples=len(train))[list(FLAT)]


def sequences(request: Asked, train: pd.DataFrame, clock: Clock) -> pd.DataFrame:
    """A model of patients and one of their encounters; both share the budget."""
    context = train[[PATIENT, *CONTEXT]].drop_duplicates(PATIENT)
    events = train[[PATIENT, *EVENTS]]
    began = time.perf_counter()
    with clock.phase("fit"):
        minutes = request.budget_seconds / 60
        patients = fitted(request, "patients", context, minutes=minutes, tgt_primary_key=PATIENT)
        left = minutes - (time.perf_counter() - began) / 60
        about = {"tgt_context_key": PATIENT, "ctx_data": context, "ctx_primary_key": PATIENT}
        encounters = fitted(request, "encounters", events, minutes=left, **about)
    with clock.phase("sample"):
        who = patients.sample(n_samples=len(context))
        encounters.sample(ctx_data=who)
        made = pd.read_parquet(folder_of(request, "encounters") / "SyntheticData")
    # sample() sorts by patient with an unstable sort, which may mix a patient's encounters; the files keep their order
    return made.merge(who, on=PATIENT, how="left")[[PATIENT, *FLAT]].sort_values(PATIENT, kind="stable")


def fitted(request: Asked, name: str, table: pd.DataFrame, *, minutes: float, **about: object) -> TabularARGN:
    """Fit with the defaults; only the time is capped."""
    folder = folder_of(request, name)
    shutil.rmtree(folder, ignore_errors=True)
    settings = {"random_state": request.seed, "workspace_dir": folder, "verbose": 1, "device": "cpu"}
    return TabularARGN(max_training_time=minutes, **settings, **about).fit(table)


def folder_of(request: Asked, name: str) -> Path:
    """Where the engine keeps its work."""
    return request.folder / f"work-{name}"


if __name__ == "__main__":
    main()
