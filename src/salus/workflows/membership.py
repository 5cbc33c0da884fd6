"""Who is attacked, and what a model and its synthetic patients say of them: the material of a membership attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from salus.evidence.attacks import People
from salus.evidence.discrimination import Floats
from salus.evidence.membership import LEAST, Membership, Sides, membership
from salus.evidence.summary_features import BIRTH, KEY, SummaryColumns, learn_columns, whole_record
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import read_codes, read_settings, read_timeline
from salus.trajectory.artefact import load_model
from salus.trajectory.encoding import Records
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.reading import read_histories
from salus.trajectory.spreading import spread
from salus.workflows.canaries_file import left_out_of

MOST = 2_000
"""Patients a side: more would cost time and narrow the interval little."""
NO_MODEL = "no model was given"
SMALL_JOB = 300_000
"""Facts below which starting processes costs more than it saves."""
NATS = {"subject_id": pl.Int64(), "nats": pl.Float64(), "facts": pl.Float64()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """What is attacked: the real patients' timeline, the model (None: its output alone), the synthetic patients.

    ``members``: at most these; None: everyone the model learnt from may be drawn. ``most``: patients a side.
    """

    timeline: Path
    synthetic: Path
    model: Path | None
    members: tuple[int, ...] | None = None
    most: int = MOST


def measure_membership(attacked: Attacked, *, seed: int) -> Membership:
    """Attack up to ``most`` members (split train) and as many others (split held_out), drawn by ``seed``.

    Canaries that an audit left out of training are neither.
    """
    events = read_timeline(attacked.timeline)
    if attacked.model is not None:
        events = events.filter(~pl.col("subject_id").is_in(left_out_of(attacked.model)))
    codes, settings = read_codes(attacked.timeline), read_settings(attacked.timeline)
    chosen = choose(eligible(events, codes, attacked.members), seed=seed, most=attacked.most)
    drawn = [person for group in chosen.values() for person in group]
    events = events.filter(pl.col("subject_id").is_in(drawn)).drop("split")
    nats = pl.DataFrame(schema=NATS)
    if attacked.model is not None and drawn:
        nats = patient_nats(attacked.model, events, codes, settings=settings)
    learnt = set(chosen["members"])
    columns = learn_columns(events.filter(~pl.col("subject_id").is_in(learnt)))
    summary = whole_record(events, columns).join(nats, on="subject_id", how="left")
    people = {name: people_of(summary, ids) for name, ids in chosen.items()}
    return membership(
        Sides(
            **people,
            synthetic=_synthetic(attacked.synthetic, columns),
            without_model=NO_MODEL if attacked.model is None else "",
        ),
        seed=seed,
    )


def choose(people: Mapping[str, list[int]], *, seed: int, most: int = MOST) -> dict[str, list[int]]:
    """Draw members, others, control and rest from the patients of each split.

    Control are the tuning patients: like members in everything but that the model did not learn from them (they only
    decided when to stop). Where they are too few, half of what is left over. Few held-out patients are shared out.
    """
    rng = np.random.default_rng(seed)
    train, tuning, held_out = (
        rng.permutation(sorted(people.get(name, []))).tolist() for name in ("train", "tuning", "held_out")
    )
    enough = len(tuning) >= 2 * LEAST
    others = min(most, len(held_out) if enough else len(held_out) * 2 // 3)
    spare = held_out[others:]
    never = [*tuning[:most], *spare[:most]]
    alike = len(tuning) >= LEAST and len(spare) >= LEAST
    split = min(len(tuning), most) if alike else len(never) // 2
    return {
        "members": train[:most],
        "others": held_out[:others],
        "control": never[:split],
        "rest": never[split:],
    }


def eligible(
    events: pl.DataFrame, codes: pl.DataFrame, members: tuple[int, ...] | None
) -> dict[str, list[int]]:
    """Patients to whom something happened at a known time, by split."""
    nothing = codes.filter(pl.col("role").is_in(["birth", "follow_up_end"]))["code"].to_list()
    dated = events.filter(pl.col("time").is_not_null() & ~pl.col("code").is_in([BIRTH, *nothing]))
    found = dated.group_by("split").agg(pl.col("subject_id").unique())
    people = {split: list(ids) for split, ids in found.iter_rows()}
    if members is not None:
        people["train"] = sorted(set(people.get("train", [])) & set(members))
    return people


def patient_nats(
    model: Path, events: pl.DataFrame, codes: pl.DataFrame, *, settings: TimelineSettings
) -> pl.DataFrame:
    """Nats and facts of each patient's whole record."""
    records = read_histories(events, codes, settings, load_model(model).vocabulary)
    pieces = 1 if records.facts < SMALL_JOB else 8
    jobs = [records.of(np.arange(first, records.patients, pieces)) for first in range(pieces)]
    return pl.concat(spread(partial(_ask, str(model)), jobs, processes=1 if pieces == 1 else None))


def _ask(model: str, records: Records) -> pl.DataFrame:
    """Ask the model about some patients; runs in a process of its own."""
    loaded = load_model(Path(model))
    found = patient_likelihood(loaded.network, records, loaded.vocabulary)
    nats = found.code.astype(np.float64) + found.value + found.wait
    return pl.DataFrame(
        {"subject_id": records.subject, "nats": nats, "facts": found.facts.astype(np.float64)}, schema=NATS
    )


def people_of(summary: pl.DataFrame, ids: list[int]) -> People:
    """These patients in this order, by their summaries, nats and facts; who has no summary is left out."""
    rows = pl.DataFrame({"subject_id": ids}, schema={"subject_id": pl.Int64}).join(
        summary, on="subject_id", how="inner", maintain_order="left"
    )
    return People(
        summary=_matrix(rows.drop(*KEY, "nats", "facts")),
        nats=rows["nats"].fill_null(float("nan")).to_numpy(),
        facts=rows["facts"].fill_null(float("nan")).to_numpy(),
        subject=rows["subject_id"].to_numpy(),
    )


def _synthetic(folder: Path, columns: SummaryColumns) -> Floats:
    return _matrix(whole_record(read_timeline(folder).drop("split"), columns).drop(KEY))


def _matrix(frame: pl.DataFrame) -> Floats:
    return frame.cast(pl.Float64).fill_null(float("nan")).to_numpy()
