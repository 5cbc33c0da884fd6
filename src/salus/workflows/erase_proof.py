"""Does a model that was trained again still know the erased? The membership attack on them, with its bound."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from salus.evidence.membership import LEAST
from salus.findings import Finding
from salus.progress import QUIET
from salus.timeline.columns import SPLITS
from salus.timeline.store import read_codes, read_settings, read_shards, write_timeline
from salus.workflows.generate import generate
from salus.workflows.membership import Attacked, measure_membership

METRIC = "privacy.membership_auc"
DRAWN = 1_000
"""Synthetic patients that the attack by output gets to see."""
NOT_ESTIMABLE = "NOT_ESTIMABLE"


def prove_erased(model: Path, timeline: Path, erased: pl.DataFrame, *, seed: int) -> Finding:
    """Attack the model that learnt from ``timeline``, with the erased as those who are to be told from others.

    Fewer than fifty cannot be: an AUROC of so few has no bound worth the name, and is not given.
    """
    patients = erased["subject_id"].n_unique()
    if patients < LEAST:
        return not_estimable(
            f"{patients} erased with records at hand: from one patient, or fewer than {LEAST}, no bound can be "
            f"estimated; {LEAST - patients} more erased in the same run are needed",
            patients,
        )
    place = model.with_name(f".{model.name}.proof")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    try:
        write_timeline(
            place / "with",
            _with(timeline, erased),
            codes=read_codes(timeline),
            settings=read_settings(timeline),
        )
        generate(model, place / "drawn", patients=DRAWN, seed=seed, progress=QUIET)
        members = tuple(erased["subject_id"].unique().to_list())
        attacked = Attacked(timeline=place / "with", synthetic=place / "drawn", model=model, members=members)
        found = measure_membership(attacked, seed=seed).findings
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return next(one for one in found if (one.metric, one.comparison) == (METRIC, "attack"))


def not_estimable(reason: str, patients: int = 0) -> Finding:
    """A proof that cannot be given, and why."""
    return Finding(
        metric=METRIC,
        population="erased v held-out patients",
        value=None,
        patients=patients,
        method="not measured",
        comparison="attack",
        reason=f"{NOT_ESTIMABLE}: {reason}",
    )


def _with(timeline: Path, erased: pl.DataFrame) -> pl.DataFrame:
    """The others as they are, and the erased where members are looked for; codes that went with them stay out."""
    frames = [
        frame.with_columns(split=pl.lit(split)) for split in SPLITS for frame in read_shards(timeline, split)
    ]
    known = read_codes(timeline)["code"].to_list()
    back = erased.filter(pl.col("code").is_in(known)).with_columns(split=pl.lit("train"))
    others = pl.concat(frames).filter(pl.col("split") != "train")
    return pl.concat([others, back]).sort("subject_id", maintain_order=True)
