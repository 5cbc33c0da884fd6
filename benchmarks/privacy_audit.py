"""Do audits find what is there? An over-fitted model must be caught, a private one must stay below what was proved.

Run: `python -m benchmarks.privacy_audit --folder build/privacy` with the timelines of the examples below it; every
model is trained once and kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.membership import overfit
from benchmarks.rows import Row, commit, machine
from salus.evidence.empirical_epsilon import AUC, METRIC
from salus.findings import Finding
from salus.progress import QUIET
from salus.trajectory.artefact import load_model, save_model
from salus.workflows.audit import AuditResult, measure_audit
from salus.workflows.canaries_file import AuditChoices, plan_audit
from salus.workflows.train import TrainChoices, train
from salus.workflows.train_private import PrivateChoices

COMMAND = "make bench-privacy"
SECRET = b"the coins of the benchmark, open"
"""Given and in the open, so that the benchmark can be repeated; nobody's privacy hangs on models of open data."""
CANARIES, SEED = 1_000, 1
MINUTES = 2.5
CAUGHT, PASSED, EPSILON = 0.70, 0.55, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit found, and the seconds that training and audit took."""

    name: str
    result: AuditResult
    seconds: float

    def finding(self, metric: str, comparison: str = "attack") -> Finding:
        """One of the audit's findings."""
        return next(
            one for one in self.result.findings if (one.metric, one.comparison) == (metric, comparison)
        )


def overfitted(timeline: Path, to: Path) -> None:
    """Learn by heart those of 1,000 patients whom a coin chose, about 500."""
    plan = plan_audit(timeline, AuditChoices(canaries=CANARIES, secret=SECRET), draft=None)
    overfit(timeline, to, patients=plan.canaries.included, seed=SEED, minutes=MINUTES)
    model = replace(load_model(to), audit=plan.told)
    shutil.rmtree(to)
    to.mkdir()
    save_model(model, to)
    plan.write(to)


def trained(timeline: Path, to: Path, *, private: float | None) -> None:
    """Train as anybody would, or privately, with 1,000 canaries among the training patients."""
    choices = TrainChoices(
        seed=SEED,
        private=None if private is None else PrivateChoices(epsilon=private),
        audit=AuditChoices(canaries=CANARIES, secret=SECRET),
    )
    train(timeline, to, choices=choices, progress=QUIET)


def audited(timeline: Path, folder: Path, name: str) -> Audited:
    """Train the model of that name unless it is there, and audit it."""
    began, model = time.monotonic(), folder / f"audit-{name}"
    if not model.exists():
        if name == "overfitted":
            overfitted(timeline, model)
        else:
            trained(timeline, model, private=EPSILON if name == "private" else None)
    result = measure_audit(model, timeline, seed=SEED)
    return Audited(name=name, result=result, seconds=time.monotonic() - began)


def rows(folder: Path = Path("build/privacy"), example: str = "cohort") -> list[Row]:
    """Both numbers of the over-fitted, the default and the private model."""
    timeline = folder / f"{example}-timeline"
    found = {name: audited(timeline, folder, name) for name in ("overfitted", "default", "private")}
    wanted = (
        ("overfitted", AUC, "lower", "max", CAUGHT),
        ("overfitted", METRIC, "value", "max", EPSILON),
        ("default", AUC, "upper", "min", PASSED),
        ("private", METRIC, "value", "min", EPSILON),
    )
    return [
        _row(example, found[name], metric, bound, wanted=(direction, target))
        for name, metric, bound, direction, target in wanted
    ]


def _row(example: str, one: Audited, metric: str, bound: str, *, wanted: tuple[str, float]) -> Row:
    """A row judged by one of its bounds; the baseline is the control."""
    finding, control = one.finding(metric), one.finding(metric, "control")
    direction, target = wanted
    judged = getattr(finding, bound)
    words = {METRIC: "empirical ε (lower bound)", AUC: "membership, canaries in v out, AUROC"}
    return Row(
        name=f"{example}, {one.name} model: {words[metric]} of {one.result.canaries:,} canaries",
        value=finding.value,
        lower=finding.lower,
        upper=finding.upper,
        unit="1",
        direction=direction,
        target=target,
        met=judged is not None and (judged > target if direction == "max" else judged <= target),
        baseline=control.value,
        command=COMMAND,
        seed=SEED,
        commit=commit(),
        hardware=machine(),
        seconds=round(one.seconds, 2),
    )


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/privacy"))
    parser.add_argument("--example", default="cohort")
    given = parser.parse_args()
    json.dump([asdict(row) for row in rows(given.folder, given.example)], sys.stdout, indent=1)


if __name__ == "__main__":
    main()
