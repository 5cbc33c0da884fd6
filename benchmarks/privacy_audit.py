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
from salus.workflows.audit import measure_audit
from salus.workflows.canaries_file import AuditChoices, plan_audit, read_canaries
from salus.workflows.generate import generate
from salus.workflows.membership import Attacked, measure_membership
from salus.workflows.reference_models import Attackable, ReferenceChoices, measure_references
from salus.workflows.train import TrainChoices, train
from salus.workflows.train_private import PrivateChoices

COMMAND = "make bench-privacy"
SECRET = b"the coins of the benchmark, open"
"""Given and in the open, so that the benchmark can be repeated; nobody's privacy hangs on models of open data."""
CANARIES = {"overfitted": 1_000, "default": 4_000, "private": 1_000}
"""Where chance must be told from a little more than chance, a thousand would leave the interval too wide."""
SEED, DRAWN, REFERENCES = 1, 2_000, 4
MINUTES, UNHURRIED = 2.5, 600.0
"""By heart is learnt by the clock; what anybody would train ends by its own rules, on however busy a machine."""
CAUGHT, PASSED, EPSILON = 0.70, 0.55, 3.0
MEMBERSHIP, REFERENCE = "privacy.membership_auc", "privacy.reference_auc"
WORDS = {
    METRIC: "empirical ε, lower bound",
    AUC: "canaries in v canaries out, AUROC",
    MEMBERSHIP: "membership attack, AUROC",
    REFERENCE: "membership attack by reference models, AUROC",
}
WANTED = (
    ("overfitted", AUC, "lower", "max", CAUGHT),
    ("overfitted", REFERENCE, "lower", "max", CAUGHT),
    ("overfitted", METRIC, "lower", "max", EPSILON),
    ("default", MEMBERSHIP, "upper", "min", PASSED),
    ("default", AUC, "upper", "min", PASSED),
    ("default", REFERENCE, "upper", "min", PASSED),
    ("default", METRIC, "lower", "min", EPSILON),
    ("private", METRIC, "lower", "min", EPSILON),
)
"""Model, metric, the bound that is judged, where better lies and how far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What was found of a model, and the seconds that training and measuring took."""

    name: str
    findings: list[Finding]
    seconds: float

    def finding(self, metric: str, comparison: str = "attack") -> Finding:
        """One of the findings."""
        return next(one for one in self.findings if (one.metric, one.comparison) == (metric, comparison))


def overfitted(timeline: Path, to: Path) -> None:
    """Learn by heart those of 1,000 patients whom a coin chose, about 500."""
    plan = plan_audit(timeline, AuditChoices(canaries=CANARIES["overfitted"], secret=SECRET), draft=None)
    overfit(timeline, to, patients=plan.canaries.included, seed=SEED, minutes=MINUTES)
    model = replace(load_model(to), audit=plan.told)
    shutil.rmtree(to)
    to.mkdir()
    save_model(model, to)
    plan.write(to)


def trained(timeline: Path, to: Path, *, private: float | None) -> None:
    """Train as anybody would, or privately, with canaries among the training patients."""
    name = "default" if private is None else "private"
    choices = TrainChoices(
        minutes=UNHURRIED,
        seed=SEED,
        private=None if private is None else PrivateChoices(epsilon=private),
        audit=AuditChoices(canaries=CANARIES[name], secret=SECRET),
    )
    train(timeline, to, choices=choices, progress=QUIET)


def audited(timeline: Path, folder: Path, name: str) -> Audited:
    """Train the model of that name unless it is there, audit it, and attack it in other ways where they say more."""
    began, model = time.monotonic(), folder / f"audit-{name}"
    if not model.exists():
        if name == "overfitted":
            overfitted(timeline, model)
        else:
            trained(timeline, model, private=EPSILON if name == "private" else None)
    found = [*measure_audit(model, timeline, seed=SEED).findings]
    if name == "default":
        found += membership(timeline, model, folder / "audit-synthetic")
    if name != "private":
        found += references(timeline, model, folder / f"audit-{name}-references")
    return Audited(name=name, findings=found, seconds=time.monotonic() - began)


def membership(timeline: Path, model: Path, synthetic: Path) -> list[Finding]:
    """The membership attacks of `salus appraise`: on the model and on what it draws."""
    if not synthetic.exists():
        generate(model, synthetic, patients=DRAWN, seed=SEED, progress=QUIET)
    attacked = Attacked(timeline=timeline, synthetic=synthetic, model=model)
    return measure_membership(attacked, seed=SEED).findings


def references(timeline: Path, model: Path, folder: Path) -> list[Finding]:
    """The attack by reference models; of canaries alone where only they were learnt from."""
    members = None
    if model.name.endswith("overfitted"):
        members = read_canaries(model, load_model(model).audit).included
    attacked = Attackable(model=model, timeline=timeline, folder=folder, members=members)
    return measure_references(
        attacked, choices=ReferenceChoices(models=REFERENCES), seed=SEED, progress=QUIET
    )


def rows(folder: Path = Path("build/privacy"), example: str = "cohort") -> list[Row]:
    """What the over-fitted, the default and the private model give away, each judged by the bound that matters."""
    timeline = folder / f"{example}-timeline"
    found = {name: audited(timeline, folder, name) for name in CANARIES}
    return [
        _row(example, found[name], metric, bound, wanted=(direction, target))
        for name, metric, bound, direction, target in WANTED
    ]


def _row(example: str, one: Audited, metric: str, bound: str, *, wanted: tuple[str, float]) -> Row:
    """A row judged by one of its bounds; the baseline is the control."""
    finding, control = one.finding(metric), one.finding(metric, "control")
    direction, target = wanted
    judged = getattr(finding, bound)
    return Row(
        name=f"{example}, {one.name} model: {WORDS[metric]} ({finding.population})",
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
