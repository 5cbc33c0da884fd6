"""Does the membership attack find what is there? A model made to learn 2,000 patients by heart must be caught.

Run: `python -m benchmarks.membership --folder build/demo/cohort`. The over-fitted model is kept beside the demo and not
trained again while code and records are the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from benchmarks.rows import Row, commit, machine
from salus import __version__
from salus.findings import Finding, read_bundle
from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, timeline_digest
from salus.trajectory.artefact import Lineage, Model, save_model
from salus.trajectory.reading import prepare
from salus.trajectory.training import TrainSettings, fit
from salus.workflows.generate import generate
from salus.workflows.machine import hardware, versions
from salus.workflows.membership import MOST, Attacked, measure_membership
from salus.workflows.stages import Done, Json, Stage, run_stage

COMMAND = "make bench"
METRIC = "privacy.membership_auc"
CAUGHT, PRIVATE = 0.65, 0.55
MINUTES = 3.5
CHECKED = 100
"""Training patients whose loss is looked at after each epoch; it decides nothing, so few are enough."""


def rows(folder: Path, seed: int) -> list[Row]:
    """The attack on the over-fitted model, judged by its lower bound, and on the demo's, by its upper bound."""
    demo = UseCaseFolder(folder)
    work = folder.with_name(f".overfitted-{demo.name}")
    done = attack_overfitted(demo, work, seed=seed)
    caught = dict(done[-1].result) if isinstance(done[-1].result, dict) else {}
    made = [
        _row(
            f"{demo.name}: membership attack on a model over-fitted to {caught['members']:,} patients, AUROC",
            (caught["value"], caught["lower"], caught["upper"], caught["control"]),
            wanted=("max", CAUGHT),
            seed=seed,
            done=done,
        )
    ]
    return [*made, of_demo(folder, seed)]


def of_demo(folder: Path, seed: int) -> Row:
    """The attack on a demo's own model, judged by its upper bound."""
    attack, control = _of_demo(UseCaseFolder(folder))
    name = f"{folder.name}: membership attack on the demo's model, AUROC"
    if attack is None or control is None:
        return _row(name, (None, None, None, None), wanted=("min", PRIVATE), seed=seed, done=[])
    numbers = (attack.value, attack.lower, attack.upper, control.value)
    return _row(f"{name} ({attack.population})", numbers, wanted=("min", PRIVATE), seed=seed, done=[])


def attack_overfitted(demo: UseCaseFolder, work: Path, *, seed: int) -> list[Done]:
    """Train on the members alone until they are known by heart, draw as many patients, attack; or reuse it."""
    work.mkdir(parents=True, exist_ok=True)
    patients = members_of(demo.timeline, seed=seed)
    model, synthetic, found = work / "model", work / "synthetic", work / "attack.json"

    def learn() -> Json:
        return overfit(demo.timeline, model, patients=patients, seed=seed)

    settings: dict[str, Json] = {"minutes": MINUTES, "seed": seed, "patients": len(patients)}
    stage = Stage(
        name="overfit",
        output=model,
        code=("trajectory",),
        settings=settings,
        inputs=(demo.timeline / "data",),
    )
    learnt = run_stage(work, stage, learn)

    def draw() -> Json:
        generate(model, synthetic, patients=len(patients), seed=seed, progress=QUIET)
        return None

    stage = Stage(name="draw", output=synthetic, code=("trajectory",), settings={"seed": seed})
    drawn = run_stage(work, stage, draw, after=[learnt])

    def attack() -> Json:
        about = Attacked(timeline=demo.timeline, synthetic=synthetic, model=model, members=patients)
        measured = measure_membership(about, seed=seed)
        by_side = {one.comparison: one for one in measured.findings if one.metric == METRIC}
        result = by_side["attack"].interval.as_json() | {
            "control": by_side["control"].value,
            "members": measured.members,
        }
        found.write_text(
            json.dumps(result | {"findings": [asdict(one) for one in measured.findings]}, indent=1)
        )
        return dict(result)

    code = ("evidence", "workflows/membership.py")
    stage = Stage(name="attack", output=found, code=code, settings={"seed": seed})
    return [learnt, drawn, run_stage(work, stage, attack, after=[drawn])]


def members_of(timeline: Path, *, seed: int) -> tuple[int, ...]:
    """2,000 training patients, drawn by ``seed``."""
    train = read_timeline(timeline, "train")["subject_id"].unique().sort()
    return tuple(sorted(train.sample(min(MOST, len(train)), seed=seed).to_list()))


def overfit(
    timeline: Path, to: Path, *, patients: tuple[int, ...], seed: int, minutes: float = MINUTES
) -> dict[str, Json]:
    """Learn ``patients`` by heart: no dropout, no weight decay, and the training patients decide when to stop."""
    settings, codes = read_settings(timeline), read_codes(timeline)
    events = read_timeline(timeline)
    kept = (pl.col("split") == "tuning") | pl.col("subject_id").is_in(patients)
    lessons = prepare(events.filter(kept), codes, settings)
    some = lessons.train.of(pl.Series(range(min(CHECKED, lessons.train.patients))).to_numpy())
    wanted = TrainSettings(
        data=timeline_digest(timeline),
        seed=seed,
        minutes=minutes,
        dropout=0.0,
        wait_dropout=0.0,
        weight_decay=0.0,
        emphasis=0.0,
        most_epochs=1_000,
        patience=1_000_000,
    )
    checkpoint = to.with_name(".training")
    network, log = fit(replace(lessons, tuning=some), settings=wanted, checkpoint=checkpoint, progress=QUIET)
    lineage = Lineage(
        salus=__version__,
        torch=versions()["torch"],
        timeline_digest=wanted.data,
        data_set=f"over-fitted to {len(patients)} patients of {settings.name}",
        splits=settings.splits,
        patients_train=lessons.train.patients,
        patients_tuning=0,
        facts_after_death=lessons.after_death,
        hardware=hardware(),
    )
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    save_model(
        Model(
            network=network,
            vocabulary=lessons.vocabulary,
            settings=wanted,
            log=log,
            lineage=lineage,
            codes=codes.to_dicts(),
        ),
        to,
    )
    shutil.rmtree(checkpoint, ignore_errors=True)
    return {"epochs": log.epochs, "loss": log.best_loss, "seconds": log.seconds}


def _of_demo(demo: UseCaseFolder) -> tuple[Finding | None, Finding | None]:
    """The attack on the demo's model and its control, as its evidence says."""
    found = {one.comparison: one for one in read_bundle(demo.evidence).findings if one.metric == METRIC}
    return found.get("attack"), found.get("control")


def _row(
    name: str,
    numbers: tuple[float | None, float | None, float | None, float | None],
    *,
    wanted: tuple[str, float],
    seed: int,
    done: list[Done],
) -> Row:
    """A row judged by the bound on the side that matters. ``numbers``: value, bounds, control."""
    value, lower, upper, control = numbers
    direction, target = wanted
    bound = lower if direction == "max" else upper
    met = bound is not None and (bound >= target if direction == "max" else bound <= target)
    return Row(
        name=name,
        value=value,
        lower=lower,
        upper=upper,
        unit="1",
        direction=direction,
        target=target,
        met=met,
        baseline=control,
        command=COMMAND,
        seed=seed,
        commit=commit(),
        hardware=machine(),
        seconds=round(sum(each.seconds for each in done), 2),
        cpu_seconds=round(sum(each.cpu_seconds for each in done), 2) or None,
    )


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/demo/cohort"), help="a finished demo")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    json.dump([asdict(row) for row in rows(given.folder, given.seed)], sys.stdout, indent=1)


if __name__ == "__main__":
    main()
