"""How good synthetic patients are: fidelity beside the floor, use beside real patients, attacks beside guessing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from salus.cohort.moments import index_moments, known_at_index
from salus.cohort.task import Task, read_task
from salus.evidence.fidelity import fidelity
from salus.evidence.groups import slices_of
from salus.findings import Finding
from salus.timeline.store import read_timeline, timeline_digest
from salus.usecases.citing import fits
from salus.usecases.contract import Score, Scored
from salus.usecases.opened import Opened
from salus.usecases.slices import groups_of, of_group, slices

SEED = 20260101
BESIDE = {"synthetic": "floor", "attack": "baseline"}
"""What a finding of one comparison is to be seen beside."""
KINDS = ("fidelity", "utility", "privacy")
OVERALL = "fidelity.overall"


def score_release(opened: Opened) -> Score:
    """Findings of the bundle, and likeness measured once more in each group that usecase.yaml names."""
    findings = tuple(one for one in opened.bundle.findings if one.kind in KINDS) if opened.bundle else ()
    entries = tuple(
        Scored(finding=one, baseline=_beside(one, findings)) for one in findings if _is_entry(one)
    )
    measured = tuple(_by_group(opened)) if opened.bundle is not None else ()
    return Score(entries=entries, slices=slices(opened, OVERALL, (*findings, *measured)))


def _is_entry(finding: Finding) -> bool:
    if "; " in finding.population or finding.metric.startswith("fidelity.code_"):
        return False
    if finding.kind in ("fidelity", "privacy"):
        return finding.comparison in BESIDE
    return finding.metric in ("utility.synthetic_auroc", "utility.auroc_ratio")


def _beside(finding: Finding, findings: tuple[Finding, ...]) -> Finding | None:
    metric, population, comparison = finding.metric, finding.population, BESIDE.get(finding.comparison)
    if finding.kind == "utility":
        metric, comparison = "utility.real_auroc", None
    return next(
        (one for one in findings if fits(one, metric, population=population, comparison=comparison)),
        None,
    )


def _by_group(opened: Opened) -> Iterator[Finding]:
    """Overall likeness in each group: its synthetic patients, its floor and its ceiling."""
    task, folder = read_task(opened.folder.task), opened.folder
    populations = {
        "train": read_timeline(folder.timeline, "train"),
        "held_out": read_timeline(folder.timeline, "held_out"),
        "synthetic": read_timeline(folder.synthetic).drop("split"),
    }
    digests = {
        "timeline": timeline_digest(folder.timeline),
        "synthetic": timeline_digest(folder.synthetic),
    }
    groups = groups_of(opened.usecase)
    members = {name: slices_of(_known(events, task), groups) for name, events in populations.items()}
    for number, group in enumerate(groups):
        population = f"all; {group.label} {group.name}"
        cut = {name: of_group(events, members[name][number].patients) for name, events in populations.items()}
        if any(events.is_empty() for events in cut.values()):
            yield _nobody(population)
            continue
        found = fidelity(
            cut["train"],
            cut["synthetic"],
            real_held_out=cut["held_out"],
            anchor=opened.settings.anchor,
            seed=SEED,
        )
        for one in found.findings:
            if one.metric == OVERALL:
                yield replace(
                    one,
                    population=population,
                    digests=digests,
                    created=opened.now.isoformat(),
                    site=opened.settings.name,
                )


def _known(events: pl.DataFrame, task: Task) -> pl.DataFrame:
    return known_at_index(events, index_moments(events, task))


def _nobody(population: str) -> Finding:
    return Finding(
        metric=OVERALL,
        population=population,
        value=None,
        patients=0,
        method="not measured",
        reason="nobody of this group is among the real or the synthetic patients",
    )
