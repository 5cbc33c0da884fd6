"""Train reference models and attack by them: halves of the attacked patients, the vocabulary of the attacked model.

Reference models are thrown away; only what each says of every patient is kept, in the order of patients and without
their ids, so that an interrupted attack goes on with the next model.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from salus.errors import SettingsRefused
from salus.evidence.discrimination import Floats
from salus.evidence.reference_models import LEAST_MODELS, Seen, SeenSides, halves, reference_attack
from salus.evidence.summary_features import learn_columns, whole_record
from salus.findings import Finding
from salus.progress import Progress
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.trajectory.artefact import Model, load_model
from salus.trajectory.encoding import Records
from salus.trajectory.likelihood import patient_likelihood
from salus.trajectory.network import Network
from salus.trajectory.reading import Lessons, read_histories
from salus.trajectory.sizes import Scale, settings_for
from salus.trajectory.training import TrainSettings, fit
from salus.trajectory.vocabulary import Vocabulary
from salus.workflows.canaries_file import left_out_of
from salus.workflows.membership import choose, eligible, people_of

LOOKED_AT = 300
"""Patients of the other half who decide which weights of a reference model are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceChoices:
    """How many reference models, and how often each passes over its half: cheap ones, beside the model attacked."""

    models: int = 6
    passes: int = 4

    def check(self) -> None:
        """Raise SettingsRefused (SAL-308) for numbers that make no attack."""
        if self.models < LEAST_MODELS or self.passes < 1:
            raise SettingsRefused(
                f"{self.models} reference models of {self.passes} passes make no attack",
                where="workflows.reference_models",
                fix=f"train at least {LEAST_MODELS}, with a pass or more each",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attackable:
    """A model with the timeline it was trained on; ``folder``: for what is kept of the reference models.

    ``members``: at most these; None: everyone the model learnt from may be drawn.
    """

    model: Path
    timeline: Path
    folder: Path
    members: tuple[int, ...] | None = None


def measure_references(
    attacked: Attackable, *, choices: ReferenceChoices, seed: int, progress: Progress
) -> list[Finding]:
    """Attack the same patients as :func:`measure_membership` does, by the losses of reference models."""
    choices.check()
    model, codes = load_model(attacked.model), read_codes(attacked.timeline)
    events = read_timeline(attacked.timeline)
    events = events.filter(~pl.col("subject_id").is_in(left_out_of(attacked.model)))
    chosen = choose(eligible(events, codes, attacked.members), seed=seed)
    drawn = pl.Series([one for group in chosen.values() for one in group], dtype=pl.Int64)
    events = events.filter(pl.col("subject_id").is_in(drawn.implode())).drop("split")
    records = read_histories(events, codes, read_settings(attacked.timeline), model.vocabulary)
    name = _name(model, attacked.timeline, records, (choices.models, choices.passes, seed))
    run = _Run(records, model.vocabulary, choices, attacked.folder / name, seed)
    outside = run.outside(progress)
    return reference_attack(_sides(events, records, model, outside, chosen=chosen), seed=seed)


def _name(model: Model, timeline: Path, records: Records, numbers: tuple[int, ...]) -> str:
    """A name for what decides every reference model: patients, vocabulary, numbers."""
    whole = hashlib.sha256(f"{model.digest} {timeline_digest(timeline)} {numbers}".encode())
    whole.update(records.subject.astype(np.int64).tobytes())
    return f"references-{whole.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class _Run:
    """Trains one reference model after another, and remembers what each says."""

    records: Records
    vocabulary: Vocabulary
    choices: ReferenceChoices
    folder: Path
    seed: int

    def outside(self, progress: Progress) -> Floats:
        """Nats of each patient under every model not trained on it; nan under the others."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        trained = halves(self.records.patients, self.choices.models, seed=self.seed)
        said = [self._model(number, trained[:, number], progress) for number in range(self.choices.models)]
        return np.where(trained, np.nan, np.column_stack(said))

    def _model(self, number: int, trained: np.ndarray, progress: Progress) -> Floats:
        """What the model of that number says of everybody; trained unless an earlier run has."""
        path, checkpoint = self.folder / f"{number}.npy", self.folder / "training"
        if not path.exists():
            network = self._train(number, trained, checkpoint, progress)
            fresh = path.with_suffix(".partial")
            with fresh.open("wb") as file:
                np.save(file, _nats(network, self.records, self.vocabulary), allow_pickle=False)
            fresh.replace(path)
            shutil.rmtree(checkpoint, ignore_errors=True)
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)

    def _train(self, number: int, trained: np.ndarray, checkpoint: Path, progress: Progress) -> Network:
        half, other = np.flatnonzero(trained), np.flatnonzero(~trained)
        seed = self.seed + number
        looked_at = np.sort(np.random.default_rng(seed).permutation(other)[:LOOKED_AT])
        train, tuning = self.records.of(half), self.records.of(looked_at)
        given = TrainSettings(data=f"{self.folder.name}/{number}", seed=seed, minutes=60.0, most_gap=1.0)
        settings = settings_for(Scale.AUTO, given, patients=train.patients, facts=train.facts)
        settings = replace(settings, most_epochs=self.choices.passes)
        lessons = Lessons(train=train, tuning=tuning, vocabulary=self.vocabulary, after_death=0)
        network, _ = fit(lessons, settings=settings, checkpoint=checkpoint, progress=progress)
        return network


def _nats(network: Network, records: Records, vocabulary: Vocabulary) -> Floats:
    found = patient_likelihood(network, records, vocabulary)
    return found.code.astype(np.float64) + found.value + found.wait


def _sides(
    events: pl.DataFrame, records: Records, model: Model, outside: Floats, *, chosen: dict[str, list[int]]
) -> SeenSides:
    """Everybody's summary, nats under the attacked model and under the others, by group."""
    facts = np.diff(records.fact_start[records.moment_start]).astype(np.float64)
    asked = pl.DataFrame(
        {
            "subject_id": records.subject,
            "nats": _nats(model.network, records, model.vocabulary),
            "facts": facts,
        }
    )
    members = pl.Series(chosen["members"], dtype=pl.Int64).implode()
    columns = learn_columns(events.filter(~pl.col("subject_id").is_in(members)))
    summary = whole_record(events, columns).join(asked, on="subject_id", how="left")
    row = {subject: number for number, subject in enumerate(records.subject.tolist())}
    nowhere = np.full(outside.shape[1], np.nan)

    def seen(ids: list[int]) -> Seen:
        known = set(summary["subject_id"].to_list())
        kept = [one for one in ids if one in known]
        rows = [outside[row[one]] if one in row else nowhere for one in kept]
        return Seen(
            people=people_of(summary, kept), outside=np.array(rows).reshape(len(kept), outside.shape[1])
        )

    return SeenSides(**{name: seen(ids) for name, ids in chosen.items()})
