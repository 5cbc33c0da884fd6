"""HL7's own validator cases: what was found once is found again, and nothing good is called bad that was not before."""

from __future__ import annotations

import json

import pytest

from benchmarks.intake_suites import HL7_CASES, suite
from benchmarks.intake_validation import REPORT, Case, cases, report
from benchmarks.rows import RESULTS

LEAST_DETECTED, MOST_FALSE = 82, 0
"""Of 96 and of 47: they may only get better."""


@pytest.fixture(scope="module")
def found() -> list[Case]:
    archive = suite(HL7_CASES)
    if archive is None:
        pytest.skip(f"SALUS_DATA does not name a folder with {HL7_CASES}")
    return cases(archive)


def test_the_rule_chooses_the_cases_that_peers_were_measured_on(found):
    """96 bad and 47 good ones: the counts under which five other validators were measured."""
    assert sum(one.is_bad for one in found) == 96
    assert sum(not one.is_bad for one in found) == 47


def test_detection_and_false_alarms_only_get_better(found):
    told = report(found)["all"]
    assert told["detected"] >= LEAST_DETECTED
    assert told["false_alarms"] <= MOST_FALSE


def test_the_report_in_the_repository_is_what_is_found(found):
    stored = json.loads((RESULTS / "suites" / REPORT).read_text(encoding="utf-8"))
    assert stored == report(found)
