"""A small use case on disk: an invented ward, a stand-in for a model, a protocol of three criteria, evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from salus.cli import main
from salus.findings import Bundle, Finding, file_digest, write_bundle
from salus.programme.protocol import Age, Bound, Criterion, Protocol, Severity, Threshold
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import timeline_digest, write_timeline
from tests.small_ward import CODES, SETTINGS, ward

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FINDING = Finding(
    metric="forecast.auroc",
    population="held_out: death",
    value=0.85,
    lower=0.81,
    upper=0.89,
    patients=2000,
    events=200,
    method="invented",
    created=(NOW - timedelta(days=1)).isoformat(),
)
CRITERION = Criterion(
    id="discrimination",
    evidence="forecast",
    metric="forecast.auroc",
    population="held_out: death",
    bound=Bound.LOWER,
    threshold=Threshold(text=">= 0.80", low=0.80),
    severity=Severity.SAFETY,
    max_age=Age(text="P180D", days=180),
)
PROTOCOL = Protocol(
    gate="model->silent",
    version=1,
    tier=2,
    test_set="held_out",
    criteria=(CRITERION,),
    frozen_at=NOW - timedelta(days=2),
)
USECASE_YAML = """\
name: small-ward
title: Death on an invented ward
kind: early-warning
state: idea
tier: 2
owner: null
card:
  purpose: To have something to test with.
  users: [tests]
  patients: Nobody that ever lived.
  not_for: [care]
  limits: [Everything about it is invented.]
inputs:
  required: [MEDS_BIRTH]
groups:
  sex:
    codes: {F: SEX//F, M: SEX//M}
  age:
    cut_at: [50, 65]
baseline: Everybody's risk is the same.
"""
PROTOCOL_YAML = """\
gate: model->silent
protocol: {version: 1, tier: 2, test_set: held_out}
defaults: {level: 0.95, min_grade: A, max_age: P180D}
criteria:
  - id: discrimination
    evidence: forecast
    metric: forecast.auroc
    outcomes: [death]
    bound: lower
    threshold: ">= 0.80"
    min_events: 100
    severity: safety
  - id: slope
    evidence: forecast
    metric: forecast.slope
    outcomes: [death]
    bound: both
    threshold: "in [0.8, 1.25]"
    severity: safety
  - id: privacy
    evidence: privacy
    metric: privacy.membership_auc
    comparison: attack
    bound: upper
    threshold: "<= 0.55"
    min_patients: 4000
    severity: release
"""
SLOPE = replace(FINDING, metric="forecast.slope", value=1.0, lower=0.9, upper=1.1)
ATTACK = replace(
    FINDING,
    metric="privacy.membership_auc",
    population="2,000 members v 2,000 others",
    comparison="attack",
    value=0.51,
    lower=0.49,
    upper=0.53,
    patients=4000,
    events=None,
)
GOOD = (FINDING, SLOPE, ATTACK, replace(ATTACK, comparison="control", value=0.5))
"""Evidence that passes PROTOCOL_YAML."""


def small_usecase(root: Path) -> UseCaseFolder:
    """A use case folder with everything but evidence; its protocol is not frozen."""
    folder = UseCaseFolder(root)
    for place, seed in ((folder.timeline, 1), (folder.synthetic, 2)):
        write_timeline(place, ward(40, seed=seed), codes=CODES, settings=SETTINGS)
    folder.model.mkdir()
    (folder.model / "weights.safetensors").write_bytes(b"weights")
    write_model(folder, name="first")
    folder.risks.parent.mkdir()
    pl.DataFrame({"subject_id": [1], "task": ["death"], "risk": [0.1], "samples": [64]}).write_parquet(
        folder.risks
    )
    folder.task.write_text("name: ward\n", encoding="utf-8")
    folder.description.write_text(USECASE_YAML, encoding="utf-8")
    folder.protocol.write_text(PROTOCOL_YAML, encoding="utf-8")
    return folder


def write_model(folder: UseCaseFolder, *, name: str) -> None:
    about = {
        "name": name,
        "files": {"weights.safetensors": file_digest(folder.model / "weights.safetensors")},
    }
    (folder.model / "model.json").write_text(json.dumps(about), encoding="utf-8")


def subjects(folder: UseCaseFolder) -> dict[str, str]:
    return {
        "timeline": timeline_digest(folder.timeline),
        "synthetic": timeline_digest(folder.synthetic),
        "model": file_digest(folder.model / "model.json"),
        "task": file_digest(folder.task),
        "forecast": file_digest(folder.risks),
    }


def give_evidence(folder: UseCaseFolder, findings: Sequence[Finding] = GOOD) -> Bundle:
    """Write findings about what lies in the folder now, measured now."""
    about, now = subjects(folder), datetime.now(UTC).isoformat()
    dated = [replace(finding, created=now, digests=about) for finding in findings]
    return write_bundle(folder.evidence, dated, tables={}, subjects=about, created=now)


def salus(*given: str | Path) -> int:
    """Type a command; its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(each) for each in given])
    return int(end.value.code or 0)
