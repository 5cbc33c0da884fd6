"""mostlyai-qa as judge: marginals, coherence, distances to real patients, its own discriminator."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from mostlyai import qa
from mostlyai.qa.random_state import set_random_state

from benchmarks.peers.columns import CONTEXT, PATIENT
from benchmarks.peers.judges.features import numbered_apart

SEED = 1
MARGINALS = ("overall", "univariate", "bivariate", "trivariate", "coherence")


def accuracy(
    kind: str, synthetic: pl.DataFrame, train: pl.DataFrame, *, holdout: pl.DataFrame
) -> dict[str, Any]:
    """Ask mostlyai-qa for its numbers; ``*_max`` is what it expects of real patients as many as the synthetic."""
    set_random_state(SEED)
    tables = dict(zip(("trn", "hol", "syn"), numbered_apart([train, holdout, synthetic]), strict=True))
    given: dict[str, Any] = {f"{name}_tgt_data": _events(kind, table) for name, table in tables.items()}
    if kind == "sequences":
        given |= {f"{name}_ctx_data": _context(table) for name, table in tables.items()}
        given |= {"ctx_primary_key": PATIENT, "tgt_context_key": PATIENT}
    with tempfile.TemporaryDirectory() as folder:
        _, found = qa.report(**given, report_path=Path(folder) / "report.html")
    if found is None:
        raise SystemExit("mostlyai-qa refused the table: too few rows")
    marginals, likeness, distances = found.accuracy, found.similarity, found.distances
    return {
        **{name: getattr(marginals, name) for name in MARGINALS},
        **{f"{name}_max": getattr(marginals, f"{name}_max") for name in MARGINALS},
        "discriminator_auc": likeness.discriminator_auc_training_synthetic,
        "discriminator_auc_max": likeness.discriminator_auc_training_holdout,
        "dcr_share": distances.dcr_share,
    }


def _events(kind: str, table: pl.DataFrame) -> Any:
    return (table if kind == "flat" else table.drop(CONTEXT)).to_pandas()


def _context(table: pl.DataFrame) -> Any:
    return table.select(PATIENT, *CONTEXT).unique(PATIENT, keep="first", maintain_order=True).to_pandas()
