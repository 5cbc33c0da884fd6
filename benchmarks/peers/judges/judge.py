"""Judge one synthetic table by everything at once and write result.json.

Run in the judges' environment, from the root of the repository:
`python -m benchmarks.peers.judges.judge --kind flat --train T.csv --holdout H.csv --synthetic S.csv --to result.json`.
Without --synthetic it writes what the same judges say of real patients: the ceiling.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers.columns import KINDS, PATIENT
from benchmarks.peers.judges.accuracy import MARGINALS, accuracy
from benchmarks.peers.judges.classifiers import PLAIN, two_samples, utility
from benchmarks.peers.judges.features import read_table

JUDGES = ("mostlyai-qa", "lightgbm", "scikit-learn")


def judge(
    kind: str, synthetic: pl.DataFrame, train: pl.DataFrame, *, holdout: pl.DataFrame
) -> dict[str, Any]:
    """Every number of the comparison for one table."""
    return {
        "size": size(kind, synthetic),
        "qa": accuracy(kind, synthetic, train, holdout=holdout),
        "tstr": utility(kind, synthetic, holdout),
        "c2st": two_samples(kind, synthetic, holdout),
        "c2st_plain": two_samples(kind, synthetic, holdout, settings=PLAIN),
    }


def ceiling(kind: str, train: pl.DataFrame, *, holdout: pl.DataFrame) -> dict[str, Any]:
    """The same numbers where the training patients stand for synthetic ones.

    mostlyai-qa compares with the training patients themselves, so of it only what it expects of other real patients
    is kept (its ``*_max``, and its discriminator between training and hold-out); distances have no meaning here.
    """
    found = judge(kind, train, train, holdout=holdout)
    expected = {name: found["qa"][f"{name}_max"] for name in (*MARGINALS, "discriminator_auc")}
    return found | {"qa": expected | {f"{name}_max": value for name, value in expected.items()}}


def size(kind: str, table: pl.DataFrame) -> dict[str, float]:
    """Rows, patients, and how long sequences are."""
    patients = table.height if kind == "flat" else table[PATIENT].n_unique()
    return {"rows": table.height, "patients": patients, "mean_length": table.height / max(patients, 1)}


def main() -> None:
    """Read the tables, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    for name in ("train", "holdout", "to"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path)
    given = parser.parse_args()
    began, used = time.perf_counter(), time.process_time()
    train, holdout = (read_table(path, given.kind) for path in (given.train, given.holdout))
    if given.synthetic:
        found = judge(given.kind, read_table(given.synthetic, given.kind), train, holdout=holdout)
    else:
        found = ceiling(given.kind, train, holdout=holdout)
    found |= {
        "kind": given.kind,
        "judges": {name: importlib.metadata.version(name) for name in JUDGES},
        "judged_in": {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used},
    }
    given.to.parent.mkdir(parents=True, exist_ok=True)
    given.to.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
