"""Evidence, protocols and folders broken in each way they can be: exit code 3 and a message, or NOT_ESTIMABLE."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from salus.findings import file_digest, write_bundle
from salus.programme.freezing import freeze
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import write_timeline
from tests.small_usecase import (
    ATTACK,
    FINDING,
    GOOD,
    PROTOCOL_YAML,
    SLOPE,
    give_evidence,
    salus,
    small_usecase,
    subjects,
    write_model,
)
from tests.small_ward import CODES, SETTINGS, ward

CANARY = "987.65"


@pytest.fixture
def folder(tmp_path):
    """A use case that passes its gate."""
    made = small_usecase(tmp_path / "ward")
    freeze(made, datetime.now(UTC) - timedelta(hours=1))
    give_evidence(made)
    return made


def rewrite(path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_timeline(folder: UseCaseFolder) -> None:
    shutil.rmtree(folder.timeline)
    write_timeline(folder.timeline, ward(40, seed=9), codes=CODES, settings=SETTINGS)


def other_forecasts(folder: UseCaseFolder) -> None:
    pl.DataFrame({"subject_id": [1], "risk": [float(CANARY)]}).write_parquet(folder.risks)


def one_finding_about_another_model(folder: UseCaseFolder) -> None:
    """The bundle is whole and names this model; one finding in it was measured on another."""
    about, now = subjects(folder), datetime.now(UTC).isoformat()
    good, *rest = (replace(finding, created=now, digests=about) for finding in GOOD)
    strange = replace(good, digests={**about, "model": "f" * 64})
    write_bundle(folder.evidence, [strange, *rest], tables={}, subjects=about, created=now)


def evidence_about_nothing(folder: UseCaseFolder) -> None:
    write_bundle(folder.evidence, GOOD, tables={}, subjects={}, created=datetime.now(UTC).isoformat())


def evidence_about_an_unnamed_model(folder: UseCaseFolder) -> None:
    about, now = subjects(folder), datetime.now(UTC).isoformat()
    del about["model"]
    found = [replace(finding, created=now, digests=about) for finding in GOOD]
    write_bundle(folder.evidence, found, tables={}, subjects=about, created=now)


def evidence_about_something_else(folder: UseCaseFolder) -> None:
    write_bundle(folder.evidence, GOOD, tables={}, subjects={"images": "a" * 64}, created="")


def a_finding_with_an_unknown_metric(folder: UseCaseFolder) -> None:
    """Its digests were made to fit, as somebody would who writes evidence by hand."""
    path, manifest = folder.evidence / "findings.json", folder.evidence / "bundle.json"
    rewrite(path, '"forecast.auroc"', '"forecast.aurok"')
    about = json.loads(manifest.read_text())
    about["files"]["findings.json"] = file_digest(path)
    manifest.write_text(json.dumps(about))


REFUSED: dict[str, tuple[Callable[[UseCaseFolder], object], str, str]] = {
    "no such folder": (lambda at: shutil.rmtree(at.root), "SAL-651", "is not a use case"),
    "a folder that is none": (lambda at: at.description.unlink(), "SAL-651", "has no usecase.yaml"),
    "a broken usecase.yaml": (lambda at: at.description.write_text("name: ["), "SAL-651", "not valid YAML"),
    "a usecase.yaml that cannot be": (
        lambda at: rewrite(at.description, "tier: 2", "tier: 9"),
        "SAL-652",
        "tier",
    ),
    "no protocol": (lambda at: at.protocol.unlink(), "SAL-601", "no file 'protocol.yaml'"),
    "a broken protocol": (lambda at: at.protocol.write_text("gate: ["), "SAL-601", "not valid YAML"),
    "a protocol that is no text": (
        lambda at: at.protocol.write_bytes(b"\xff\xfe\x00"),
        "SAL-601",
        "not valid YAML",
    ),
    "a protocol with an unknown key": (
        lambda at: rewrite(at.protocol, "severity: release", "severety: release"),
        "SAL-602",
        "'severity' is missing",
    ),
    "an unknown metric": (
        lambda at: rewrite(at.protocol, "metric: forecast.auroc", "metric: forecast.aurok"),
        "SAL-603",
        "did you mean 'forecast.auroc'?",
    ),
    "a protocol edited after freezing": (
        lambda at: rewrite(at.protocol, ">= 0.80", ">= 0.50"),
        "SAL-604",
        "edited after version 1 was frozen",
    ),
    "a protocol for another tier": (
        lambda at: at.protocol.write_text(
            PROTOCOL_YAML.replace("{version: 1, tier: 2", "{version: 2, tier: 1")
        ),
        "SAL-602",
        "the protocol is for tier 1, the use case is of tier 2",
    ),
    "a broken note of freezing": (lambda at: at.frozen.write_text("{"), "SAL-601", "cut short"),
    "another model": (
        lambda at: write_model(at, name="second"),
        "SAL-605",
        "the evidence is about another model: measured on",
    ),
    "another model in one finding": (
        one_finding_about_another_model,
        "SAL-605",
        "the finding forecast.auroc (held_out: death) is about another model: measured on ffffffffffff",
    ),
    "another timeline": (other_timeline, "SAL-605", "about another timeline"),
    "another synthetic population": (
        lambda at: (shutil.rmtree(at.synthetic), shutil.copytree(at.timeline, at.synthetic)),
        "SAL-605",
        "about another synthetic",
    ),
    "another task": (lambda at: at.task.write_text("name: other\n"), "SAL-605", "about another task"),
    "other forecasts": (other_forecasts, "SAL-605", "about another forecast"),
    "a model that is no longer there": (
        lambda at: shutil.rmtree(at.model),
        "SAL-605",
        "measured on a model that is no longer here: there is no 'model/model.json'",
    ),
    "weights of another model": (
        lambda at: (at.model / "weights.safetensors").write_bytes(b"others"),
        "SAL-302",
        "changed since the model was saved",
    ),
    "a model.json cut short": (lambda at: (at.model / "model.json").write_text("{"), "SAL-302", "cut short"),
    "evidence about nothing": (
        evidence_about_nothing,
        "SAL-605",
        "does not say on which timeline it was measured",
    ),
    "evidence about an unnamed model": (
        evidence_about_an_unnamed_model,
        "SAL-605",
        "the finding forecast.auroc (held_out: death) does not say on which model",
    ),
    "evidence about something else": (evidence_about_something_else, "SAL-605", "is about 'images'"),
    "a finding edited by hand": (
        lambda at: rewrite(at.evidence / "findings.json", "0.81", "0.84"),
        "SAL-453",
        "'findings.json' was changed",
    ),
    "findings cut short": (
        lambda at: (at.evidence / "findings.json").write_text("[{"),
        "SAL-453",
        "'findings.json' was changed or cut short",
    ),
    "findings removed": (lambda at: (at.evidence / "findings.json").unlink(), "SAL-453", "is missing"),
    "a list of files cut short": (
        lambda at: (at.evidence / "bundle.json").write_text("{"),
        "SAL-453",
        "cut short",
    ),
    "a list of files removed": (
        lambda at: (at.evidence / "bundle.json").unlink(),
        "SAL-451",
        "has no bundle.json",
    ),
    "subjects edited by hand": (
        lambda at: rewrite(at.evidence / "bundle.json", '"model"', '"other"'),
        "SAL-453",
        "itself was changed",
    ),
    "a metric edited with its digest": (a_finding_with_an_unknown_metric, "SAL-453", "itself was changed"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_what_cannot_be_trusted_is_an_error_with_exit_code_3(folder, way, capsys):
    assert salus("gate", folder.root) == 0
    capsys.readouterr()
    breaking, code, said = REFUSED[way]
    breaking(folder)
    assert salus("gate", folder.root) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"[{code}]" in shown.err
    assert said in shown.err
    assert "fix:" in shown.err
    assert "Traceback" not in shown.err
    assert CANARY not in shown.err


@pytest.mark.parametrize("given", [(), ("--nonsense",), (".", ".."), (".", "--evidence"), (".", "--jsn")])
def test_what_is_typed_wrongly_is_an_error_with_exit_code_3(given, capsys):
    assert salus("gate", *given) == 3
    assert "[SAL-502]" in capsys.readouterr().err


NO_VALUE = {"value": None, "lower": None, "upper": None}
NOT_ESTIMABLE = {
    "an empty group": {**NO_VALUE, "patients": 0, "events": 0, "reason": "nobody is in this group"},
    "one class only": {**NO_VALUE, "events": 0, "reason": "one class only: nobody had the outcome"},
    "too few for bounds": {"lower": None, "upper": None, "reason": "too few events for an interval"},
}


@pytest.mark.parametrize("way", NOT_ESTIMABLE)
def test_what_could_not_be_measured_is_not_estimable_with_its_reason(folder, way, capsys):
    give_evidence(folder, [replace(FINDING, **NOT_ESTIMABLE[way]), SLOPE, ATTACK])
    assert salus("gate", folder.root, "--json") == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"] == "NOT_ESTIMABLE"
    assert NOT_ESTIMABLE[way]["reason"] in answer["criteria"][0]["reason"]


def test_evidence_without_findings_is_not_estimable(folder):
    give_evidence(folder, [])
    assert salus("gate", folder.root) == 2


def test_a_deleted_note_of_freezing_opens_nothing(folder, capsys):
    """Who removes it to edit the thresholds gets a draft, and old evidence stays older than a new freeze."""
    folder.frozen.unlink()
    rewrite(folder.protocol, ">= 0.80", ">= 0.50")
    assert salus("gate", folder.root) == 2
    freeze(folder, datetime.now(UTC) + timedelta(seconds=1))
    assert salus("gate", folder.root) == 2
    assert "measured before the protocol was frozen" in capsys.readouterr().out
