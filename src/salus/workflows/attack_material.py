"""What an attack is made on: real patients with their splits, the synthetic ones, and the model where it is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from salus.errors import (
    HoldoutLeaked,
    NothingToCompare,
    OtherModelTimeline,
    TimelineMissing,
    VocabulariesDisjoint,
)
from salus.evidence.fingerprints import Leak, fingerprints, leak_between
from salus.progress import QUIET, Progress
from salus.timeline.store import SETTINGS_FILE, read_timeline, timeline_digest
from salus.trajectory.artefact import ABOUT, load_model
from salus.workflows.generate import generate
from salus.workflows.ingest import ingest

BIRTH = "MEDS_BIRTH"
MOST_DRAWN = 10_000
COLUMNS = ("subject_id", "time", "code", "numeric_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is attacked: a model's folder, a timeline's, or (with ``like``) a folder of its CSV files.

    ``real``: the timeline whose split train the model learnt from and whose split held_out it did not.
    """

    what: Path
    real: Path
    like: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything read. ``known_share``: share of synthetic rows whose code a real patient has.

    ``on_trust``: nothing says that the synthetic patients come of these real ones.
    """

    real: Path
    synthetic: Path
    model: Path | None
    members: pl.DataFrame
    tuning: pl.DataFrame
    others: pl.DataFrame
    invented: pl.DataFrame
    leak: Leak
    known_share: float
    on_trust: bool = False

    @property
    def everyone(self) -> pl.DataFrame:
        """Events of all real patients."""
        return pl.concat([self.members, self.tuning, self.others])


@contextmanager
def material(target: Target, *, seed: int, progress: Progress = QUIET) -> Iterator[Material]:
    """Read what is attacked; a model is asked for as many patients as it learnt from, at most 10,000.

    Raises NothingToCompare (SAL-452), HoldoutLeaked (SAL-461), OtherModelTimeline (SAL-462), VocabulariesDisjoint
    (SAL-463), and errors of timelines and models.
    """
    with TemporaryDirectory(prefix="salus-attack-") as room:
        splits = _splits(target.real)
        leak, on_trust = _checked(splits, target.real), True
        model = target.what if (target.what / ABOUT).is_file() else None
        if model is not None:
            on_trust = not _says_lineage(model, target.real)
            synthetic = Path(room) / "synthetic"
            wanted = min(splits["train"]["subject_id"].n_unique(), MOST_DRAWN)
            generate(model, synthetic, patients=wanted, seed=seed, progress=progress)
        else:
            synthetic = _timeline(target, Path(room), progress=progress)
        invented = _only(read_timeline(synthetic))
        yield Material(
            real=target.real,
            synthetic=synthetic,
            model=model,
            members=splits["train"],
            tuning=splits["tuning"],
            others=splits["held_out"],
            invented=invented,
            leak=leak,
            known_share=_known_share(invented, pl.concat(splits.values()), target),
            on_trust=on_trust,
        )


def _splits(real: Path) -> dict[str, pl.DataFrame]:
    events = read_timeline(real)
    found = {name: _only(events.filter(pl.col("split") == name)) for name in ("train", "tuning", "held_out")}
    for name in ("train", "held_out"):
        if found[name].is_empty():
            raise NothingToCompare(
                f"the real timeline has no patient in split {name}",
                where=str(real),
                fix="attack with the timeline the model was trained on: its splits say who was held out",
            )
    return found


def _checked(splits: dict[str, pl.DataFrame], real: Path) -> Leak:
    """Refuse a control that the model may have learnt from: by ids, and by what the records say."""
    members = splits["train"]["subject_id"].unique()
    both = splits["held_out"].filter(pl.col("subject_id").is_in(members.to_list()))["subject_id"].n_unique()
    leak = leak_between(fingerprints(splits["train"]), fingerprints(splits["held_out"]))
    if both or leak.is_sure:
        how = "by number" if both else "word for word, more than training patients have twins"
        raise HoldoutLeaked(
            f"{both or leak.leaked:,} held-out patients stand among those trained on, {how}",
            where=str(real),
            fix="keep each person in one split (salus quality finds twins, salus link finds one person under several"
            " numbers), train again, then attack again",
        )
    return leak


def _says_lineage(model: Path, real: Path) -> bool:
    """Whether the model says what it learnt from (a private one does not); refuse it if that was something else."""
    learnt = load_model(model).lineage.timeline_digest
    if learnt and learnt != timeline_digest(real):
        raise OtherModelTimeline(
            f"'{model.name}' did not learn from '{real.name}': the digests differ",
            where=str(real),
            fix="give with --real the timeline that the model was trained on",
        )
    return bool(learnt)


def _timeline(target: Target, room: Path, *, progress: Progress) -> Path:
    if target.like is not None:
        ingest(target.like, room / "read", inputs=target.what, progress=progress)
        return room / "read"
    if not (target.what / SETTINGS_FILE).is_file():
        raise TimelineMissing(
            f"'{target.what.name}' is neither a model nor a timeline",
            where=str(target.what),
            fix="name a folder that `salus train` or `salus generate` wrote; for CSV files add --like SOURCE.yaml",
        )
    return target.what


def _known_share(invented: pl.DataFrame, real: pl.DataFrame, target: Target) -> float:
    if invented.is_empty():
        raise NothingToCompare(
            "there is no synthetic patient",
            where=str(target.what),
            fix="generate some first: `salus generate`",
        )
    said = invented.filter(pl.col("code") != BIRTH)
    known = said["code"].is_in(real["code"].unique().to_list()).sum()
    if not known:
        raise VocabulariesDisjoint(
            f"none of the {said['code'].n_unique():,} codes of the synthetic patients occurs in the real timeline:"
            " every attack would find nothing, and that would say nothing",
            where=str(target.what),
            fix="attack with the timeline that the synthetic patients were made after, in the same codes",
        )
    return float(known) / said.height


def _only(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(COLUMNS).sort("subject_id", "time", nulls_last=False, maintain_order=True)
