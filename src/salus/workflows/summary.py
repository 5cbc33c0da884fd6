"""The numbers of a demo in one file, in the form that others rely on (docs/reference/summary.schema.json)."""

from __future__ import annotations

from collections.abc import Sequence

from salus.workflows.machine import hardware, versions
from salus.workflows.stages import Done, Json


def summarise(example: str, seed: int, done: Sequence[Done], *, gate: Json) -> dict[str, Json]:
    """Put together what the stages said and cost, and the gate's judgement.

    Times of reused stages are those of the run that did them.
    """
    said = {stage.name: stage.result if isinstance(stage.result, dict) else {} for stage in done}
    cost = {stage.name: stage for stage in done}
    ingested, appraised = said["ingest"], said["appraise"]
    return {
        "example": example,
        "books": ingested["books"],
        "patients": ingested["patients"],
        "ingest": _ingest(ingested, cost["ingest"]),
        "train": said["train"],
        "generate": said["generate"],
        "fidelity": appraised["fidelity"],
        "utility": appraised["utility"],
        "forecast": appraised["forecast"],
        "privacy": appraised["privacy"],
        "gate": gate,
        "quality": said["quality"],
        "seed": seed,
        "versions": dict(versions()),
        "hardware": dict(hardware()),
        "stages": [
            {
                "name": stage.name,
                "seconds": round(stage.seconds, 2),
                "cpu_seconds": round(stage.cpu_seconds, 2),
                "reused": stage.reused,
            }
            for stage in done
        ],
        "seconds": round(sum(stage.seconds for stage in done), 2),
        "cpu_seconds": round(sum(stage.cpu_seconds for stage in done), 2),
        "peak_memory_gb": round(max(stage.peak_bytes for stage in done) / 1e9, 3),
        "digests": {stage.name: stage.digest for stage in done},
    }


def _ingest(ingested: dict[str, Json], cost: Done) -> dict[str, Json]:
    books = ingested["books"]
    rows = books["read"] if isinstance(books, dict) else None
    rate = rows / cost.seconds if isinstance(rows, int) and cost.seconds > 0 else None
    return {
        "rows": rows,
        "seconds": round(cost.seconds, 3),
        "cpu_seconds": round(cost.cpu_seconds, 3),
        "rows_per_second": round(rate, 1) if rate else None,
    }
