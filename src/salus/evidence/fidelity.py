"""How like real patients the synthetic ones are, between two marks measured in the same way.

The ceiling: other real patients, whom the model never saw. The floor: the same real patients with each column shuffled
on its own. All are compared with the real patients the model learnt from, in equal numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from salus.errors import NothingToCompare
from salus.evidence.discrimination import Floats
from salus.evidence.likeness import MEASURES, PARTS, Boxes, boxes_of, likeness, part_scores
from salus.evidence.resampling import patient_weights
from salus.evidence.sketch import Sketch, sketch
from salus.evidence.yardstick import Yardstick, common_codes, learn_yardstick, place, shuffled
from salus.findings import Finding

MOST_PATIENTS, LEAST_PATIENTS, SMALLEST_GROUP = 4000, 50, 10
REPLICATES = 200
SIDES = {
    "synthetic": "synthetic v real patients trained on",
    "ceiling": "held-out real v real patients trained on",
    "floor": "held-out real, columns shuffled, v real patients trained on",
}
CODE_METHODS = {
    "share": "share of patients with the code",
    "rows": "rows a patient",
    "values_alike": "1 - total variation of its values over the deciles of real ones",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Findings; scores by measure (synthetic, its bounds, ceiling, floor); and shares and values code by code."""

    findings: list[Finding]
    scores: pl.DataFrame
    by_code: pl.DataFrame


def fidelity(
    real_train: pl.DataFrame,
    synthetic: pl.DataFrame,
    *,
    real_held_out: pl.DataFrame,
    anchor: str | None,
    seed: int,
) -> Fidelity:
    """Compare synthetic with real events; time is counted from each patient's ``anchor``, or their first row."""
    for name, events in (("real", real_train), ("synthetic", synthetic), ("held-out", real_held_out)):
        if events.is_empty():
            raise NothingToCompare(
                f"there is no {name} patient", where="evidence.fidelity", fix="ingest or generate some first"
            )
    most = min(MOST_PATIENTS, *(frame["subject_id"].n_unique() for frame in (synthetic, real_held_out)))
    codes = common_codes(real_train)
    placed = place(real_train, codes, anchor=anchor)
    yardstick = learn_yardstick(placed, codes)
    real = sketch(placed, yardstick)
    boxes = boxes_of(yardstick, real)
    invented = place(some_patients(synthetic, most, seed=seed), codes, anchor=anchor)
    others = place(some_patients(real_held_out, most, seed=seed), codes, anchor=anchor)
    sketches = {
        "synthetic": sketch(invented, yardstick),
        "ceiling": sketch(others, yardstick),
        "floor": sketch(shuffled(others, seed=seed), yardstick),
    }
    tables = {side: _scores(found, real, boxes=boxes, seed=seed) for side, found in sketches.items()}
    details = {
        side: _by_code(yardstick, real=real, other=found, boxes=boxes) for side, found in sketches.items()
    }
    found = [one for side in SIDES for one in _findings(side, tables[side], patients=most, seed=seed)]
    found += [one for side in SIDES for one in _code_findings(side, details[side], patients=most, seed=seed)]
    return Fidelity(findings=found, scores=_side_by_side(tables), by_code=details["synthetic"])


def some_patients(events: pl.DataFrame, most: int, *, seed: int) -> pl.DataFrame:
    """Events of at most ``most`` patients, drawn without replacement."""
    people = events["subject_id"].unique().sort()
    if len(people) <= most:
        return events
    return events.filter(pl.col("subject_id").is_in(people.sample(most, seed=seed).implode()))


def _scores(found: Sketch, real: Sketch, *, boxes: Boxes, seed: int) -> pl.DataFrame:
    """Every measure, every part and the overall score, with value -+ 1.96 bootstrap standard deviations."""
    weights = patient_weights(np.arange(found.patients), replicates=REPLICATES, seed=seed)
    values, draws = (
        _all_levels(likeness(found, real, boxes=boxes)),
        _all_levels(likeness(found, real, boxes=boxes, weights=weights)),
    )
    if found.patients < LEAST_PATIENTS:
        values = np.full_like(values, np.nan)
    half = 1.96 * np.ma.masked_invalid(draws).std(axis=0).filled(np.nan)
    return pl.DataFrame(
        {
            "measure": [*MEASURES, *PARTS, "overall"],
            "value": values[0],
            "lower": np.clip(values[0] - half, 0, 1),
            "upper": np.clip(values[0] + half, 0, 1),
        },
        nan_to_null=True,
    )


def _all_levels(scores: Floats) -> Floats:
    parts, overall = part_scores(scores)
    return np.column_stack([scores, parts, overall])


def _side_by_side(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    scores = tables["synthetic"].rename({"value": "synthetic"})
    for side in ("ceiling", "floor"):
        scores = scores.with_columns(tables[side]["value"].alias(side))
    return scores


def _findings(side: str, table: pl.DataFrame, *, patients: int, seed: int) -> list[Finding]:
    unknown = "nothing of this kind in the real patients"
    if patients < LEAST_PATIENTS:
        unknown = f"{patients} patients can be compared; {LEAST_PATIENTS} a side are needed"
    return [
        Finding(
            metric=f"fidelity.{row['measure'].replace(': ', '_')}",
            population="all",
            value=row["value"],
            lower=row["lower"],
            upper=row["upper"],
            patients=patients,
            method=f"{SIDES[side]}: score of evidence.likeness; ±1.96 SD of {REPLICATES} bootstrap draws",
            seed=seed,
            comparison=side,
            reason="" if row["value"] is not None else unknown,
        )
        for row in table.to_dicts()
    ]


def _code_findings(side: str, table: pl.DataFrame, *, patients: int, seed: int) -> list[Finding]:
    """Each code's share of patients, rows a patient and likeness of values; small real groups are withheld."""
    found = []
    for row in table.to_dicts():
        few = side != "synthetic" and row["share"] * patients < SMALLEST_GROUP
        for name in ("share", "rows", "values_alike"):
            unknown = f"fewer than {SMALLEST_GROUP} patients" if few else "the code has no values"
            value = None if few else row[name]
            found.append(
                Finding(
                    metric=f"fidelity.code_{name}",
                    population=row["code"],
                    value=value,
                    patients=patients,
                    method=f"{SIDES[side]}: {CODE_METHODS[name]}",
                    seed=seed,
                    comparison=side,
                    reason=unknown if value is None else "",
                )
            )
    return found


def _by_code(yardstick: Yardstick, *, real: Sketch, other: Sketch, boxes: Boxes) -> pl.DataFrame:
    """Code by code: share of patients, rows a patient, and how alike its values are (null: no values)."""
    ends = [*boxes.value_starts[1:].tolist(), real.values.shape[1]]
    alike = []
    for start, end in zip(boxes.value_starts.tolist(), ends, strict=True):
        counts = real.values[:, start:end].sum(axis=0), other.values[:, start:end].sum(axis=0)
        shares = [count / max(float(count.sum()), 1.0) for count in counts]
        alike.append(float(np.minimum(*shares).sum()) if counts[0].sum() else None)
    return pl.DataFrame(
        {
            "code": yardstick.codes,
            "real_share": real.has.mean(axis=0),
            "share": other.has.mean(axis=0),
            "real_rows": real.rows.mean(axis=0),
            "rows": other.rows.mean(axis=0),
            "values_alike": pl.Series(alike, dtype=pl.Float64),
        }
    )
