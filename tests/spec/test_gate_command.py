"""`salus gate` answers with a table and an exit code: 0 PASS, 1 FAIL, 2 open, 3 error; `salus freeze` fixes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from salus.cli import console
from salus.findings import write_bundle
from salus.programme.freezing import freeze
from tests.small_usecase import ATTACK, FINDING, GOOD, SLOPE, give_evidence, salus, small_usecase, subjects


@pytest.fixture
def folder(tmp_path):
    return small_usecase(tmp_path / "ward")


@pytest.fixture
def frozen(folder):
    freeze(folder, datetime.now(UTC) - timedelta(hours=1))
    return folder


WIDE = replace(FINDING, lower=0.79)
VERDICTS = {
    "PASS": (GOOD, 0),
    "FAIL": ((replace(FINDING, value=0.7, lower=0.6, upper=0.75), *GOOD[1:]), 1),
    "INCONCLUSIVE": ((WIDE, *GOOD[1:]), 2),
    "NOT_ESTIMABLE": (GOOD[1:], 2),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_exit_code_says_the_verdict(frozen, verdict, capsys):
    findings, code = VERDICTS[verdict]
    give_evidence(frozen, findings)
    assert salus("gate", frozen.root) == code
    assert f"{verdict}  model->silent: " in capsys.readouterr().out
    assert salus("gate", frozen.root, "--json") == code
    assert json.loads(capsys.readouterr().out)["verdict"] == verdict


def test_the_page_of_text_has_every_number_and_fits_80_columns(frozen, capsys):
    """(0.06/0.05)² = 1.44 times 200 events is 288: 88 more, of ten patients each."""
    bundle = give_evidence(frozen, [WIDE, replace(SLOPE, value=None, reason="one class only"), ATTACK])
    salus("gate", frozen.root)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for said in (
        "NOT_ESTIMABLE: 1 of 3 criteria",
        "no value: one class only",
        "0.850 [0.790, 0.890]    lower >= 0.80",
        "in [0.8, 1.25]",
        "0.510 [0.490, 0.530]    upper <= 0.55",
        "88 further events, about 880 patients at this rate",
        "version 1, frozen ",
        bundle.digest[:12],
    ):
        assert said in shown, said


def test_long_names_and_small_numbers_still_fit_80_columns(frozen, capsys):
    text = (
        frozen.protocol.read_text()
        .replace("version: 1", "version: 2")
        .replace("id: slope", f"id: {'slope-' * 9}x")
    )
    frozen.protocol.write_text(text)
    give_evidence(frozen, [FINDING, replace(SLOPE, lower=0.7999999, upper=1.2500001), ATTACK])
    salus("gate", frozen.root)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "0.7999999" in shown


def test_without_evidence_nothing_can_be_estimated(frozen, capsys):
    assert salus("gate", frozen.root) == 2
    shown = capsys.readouterr().out
    assert "NOT_ESTIMABLE: 3 of 3 criteria" in shown
    assert "measure it with `salus appraise`" in shown


def test_a_protocol_that_is_not_frozen_opens_nothing(folder, capsys):
    give_evidence(folder)
    assert salus("gate", folder.root) == 2
    shown = capsys.readouterr().out
    assert "PASS: 3 of 3 criteria" in shown
    assert "EXPLORATORY, so it can open nothing: version 1 of the protocol is not frozen" in shown


def test_evidence_from_before_the_freeze_opens_nothing(folder, capsys):
    give_evidence(folder)
    freeze(folder, datetime.now(UTC) + timedelta(minutes=1))
    assert salus("gate", folder.root) == 2
    assert "measured before the protocol was frozen" in capsys.readouterr().out


def test_a_reason_in_the_protocol_opens_nothing(folder, capsys):
    text = folder.protocol.read_text()
    folder.protocol.write_text(
        text.replace("criteria:", "exploratory: The test set was looked at.\ncriteria:", 1)
    )
    freeze(folder, datetime.now(UTC) - timedelta(hours=1))
    give_evidence(folder)
    assert salus("gate", folder.root) == 2
    assert "The test set was looked at." in capsys.readouterr().out


def test_other_evidence_can_be_named(frozen, tmp_path, capsys):
    about, now = subjects(frozen), datetime.now(UTC).isoformat()
    found = [replace(finding, created=now, digests=about) for finding in GOOD]
    write_bundle(tmp_path / "elsewhere", found, tables={}, subjects=about, created=now)
    assert salus("gate", frozen.root) == 2
    assert salus("gate", frozen.root, "--evidence", tmp_path / "elsewhere") == 0
    assert salus("gate", frozen.root, "--evidence", tmp_path / "nowhere") == 3
    assert "SAL-451" in capsys.readouterr().err


def test_the_gate_changes_nothing(frozen):
    give_evidence(frozen)
    before = {path: path.read_bytes() for path in sorted(frozen.root.rglob("*")) if path.is_file()}
    salus("gate", frozen.root)
    assert {path: path.read_bytes() for path in sorted(frozen.root.rglob("*")) if path.is_file()} == before


def test_freeze_says_version_and_digest_and_can_be_repeated(folder, capsys):
    assert salus("freeze", folder.root) == 0
    first = capsys.readouterr().out
    assert "version 1 is frozen since" in first
    assert salus("freeze", folder.root) == 0
    assert capsys.readouterr().out == first
    assert salus("freeze", folder.root, "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1


def test_freeze_refuses_another_text_under_the_same_version(frozen, capsys):
    frozen.protocol.write_text(frozen.protocol.read_text().replace("0.80", "0.70"))
    assert salus("freeze", frozen.root) == 1
    assert "[SAL-606]" in capsys.readouterr().err


def stopped() -> int:
    raise KeyboardInterrupt


def test_ctrl_c_is_no_answer(capsys):
    assert console.guard(stopped, error_code=3) == 130


def test_the_real_program_exits_with_these_codes(frozen):
    """In a process of its own, as a script would call it."""
    give_evidence(frozen)
    for given, code in ((str(frozen.root), 0), ("nowhere", 3), ("--nonsense", 3)):
        ended = subprocess.run([sys.executable, "-m", "salus", "gate", given], capture_output=True, text=True)
        assert ended.returncode == code, ended.stderr
        assert (ended.stdout == "") == (code == 3)
