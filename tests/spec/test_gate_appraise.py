"""`salus appraise` measures a use case's evidence again, about what lies in its folder now, and the gate takes it."""

from __future__ import annotations

import json

import pytest

from salus.findings import read_bundle
from salus.programme.usecase_folder import UseCaseFolder
from tests.small_usecase import salus
from tests.ward_usecase import copy_of


@pytest.fixture
def folder(ward_usecase, tmp_path) -> UseCaseFolder:
    return copy_of(ward_usecase, tmp_path / "ward")


def test_evidence_is_measured_again_about_what_lies_here_now(folder, capsys):
    """Another task is another question: old evidence is refused, and measured again it is taken."""
    before = read_bundle(folder.evidence)
    folder.task.write_text(folder.task.read_text() + "# asked anew\n")
    assert salus("gate", folder.root) == 3
    assert "about another task" in capsys.readouterr().err
    assert salus("appraise", folder.root, "--seed", "3") == 0
    assert "judge them with: salus gate" in capsys.readouterr().out
    after = read_bundle(folder.evidence)
    assert after.digest != before.digest
    assert after.created > before.created
    assert {"fidelity", "utility", "privacy", "forecast"} <= {finding.kind for finding in after.findings}
    assert salus("gate", folder.root, "--json") != 3
    assert json.loads(capsys.readouterr().out)["bundle"] == after.digest


def test_a_folder_that_is_no_use_case_is_not_appraised(tmp_path, capsys):
    assert salus("appraise", tmp_path) == 1
    assert "[SAL-651]" in capsys.readouterr().err
