"""A criterion looks at a bound, not at the value. The numbers are worked out by hand from the definitions.

Further events: the distance of a bound from the value shrinks as 1/√events. Where the value v is on the right side of
the threshold t and the bound b is not, it takes n·((v−b)/(v−t))² events instead of n.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from salus.findings import Grade
from salus.formats.strict_yaml import Section
from salus.programme.gate import Verdict, judge, judge_criterion
from salus.programme.protocol import Bound
from salus.programme.read_limits import read_threshold
from tests.drawn import rows
from tests.small_usecase import CRITERION, FINDING, NOW, PROTOCOL

VERDICTS = """
    bound | threshold       | value | lower | upper | events | verdict      | further | why
    lower | >= 0.80         | 0.85  | 0.81  | 0.89  | 200    | PASS         |         | the lower bound clears
    lower | >= 0.80         | 0.85  | 0.80  | 0.90  | 200    | PASS         |         | at least: the limit will do
    lower | > 0.80          | 0.85  | 0.80  | 0.90  | 200    | INCONCLUSIVE | 1       | more than: the limit will not
    lower | >= 0.80         | 0.75  | 0.70  | 0.79  | 200    | FAIL         |         | even the upper bound falls short
    lower | >= 0.80         | 0.75  | 0.70  | 0.80  | 200    | INCONCLUSIVE |         | the upper bound just reaches it
    lower | > 0.80          | 0.75  | 0.70  | 0.80  | 200    | FAIL         |         | reaching is not exceeding
    lower | >= 0.75         | 0.80  | 0.70  | 0.90  | 100    | INCONCLUSIVE | 300     | (0.10/0.05)² = 4 times 100
    lower | >= 0.80         | 0.82  | 0.78  | 0.86  | 150    | INCONCLUSIVE | 450     | (0.04/0.02)² = 4 times 150
    lower | >= 0.80         | 0.79  | 0.75  | 0.83  | 150    | INCONCLUSIVE |         | the value itself falls short
    lower | >= 0.80         | 0.80  | 0.75  | 0.85  | 150    | INCONCLUSIVE |         | the value lies on the threshold
    lower | >= -0.03        | -0.01 | -0.02 | 0.00  | 150    | PASS         |         | below zero, above −0.03
    upper | <= 0.55         | 0.52  | 0.50  | 0.54  | 200    | PASS         |         | the upper bound clears
    upper | <= 0.55         | 0.60  | 0.56  | 0.64  | 200    | FAIL         |         | even the lower bound lies above
    upper | <= 0.55         | 0.53  | 0.50  | 0.56  | 200    | INCONCLUSIVE | 250     | (0.03/0.02)² = 2.25 times 200
    upper | <= 0.55         | 0.56  | 0.54  | 0.58  | 200    | INCONCLUSIVE |         | the value itself lies above
    upper | < 1             | 0.90  | 0.80  | 1.00  | 200    | INCONCLUSIVE | 1       | less than: the limit will not
    both  | in [0.8, 1.25]  | 1.00  | 0.85  | 1.20  | 100    | PASS         |         | the whole interval lies inside
    both  | in [0.8, 1.25]  | 1.00  | 0.80  | 1.25  | 100    | PASS         |         | limits included
    both  | in [0.8, 1.25]  | 1.50  | 1.30  | 1.70  | 100    | FAIL         |         | the whole interval lies above
    both  | in [0.8, 1.25]  | 0.50  | 0.40  | 0.60  | 100    | FAIL         |         | the whole interval lies below
    both  | in [0.8, 1.25]  | 1.00  | 0.70  | 1.30  | 100    | INCONCLUSIVE | 125     | (0.3/0.2)² = 2.25 times 100
    both  | in [0.8, 1.25]  | 1.00  | 0.85  | 1.30  | 100    | INCONCLUSIVE | 44      | (0.3/0.25)² = 1.44 times 100
    both  | in [0.8, 1.25]  | 1.30  | 1.10  | 1.50  | 100    | INCONCLUSIVE |         | the value itself lies outside
    point | >= 0.80         | 0.80  | 0.70  | 0.90  | 200    | PASS         |         | looks at the value alone
    point | >= 0.80         | 0.79  | 0.70  | 0.90  | 200    | FAIL         |         | looks at the value alone
    point | >= 0.80         | 0.85  |       |       | 200    | PASS         |         | and needs no bounds
"""


def threshold(text: str):
    return read_threshold(Section({}, file="test"), text)


def judged(*, criterion=CRITERION, finding=FINDING, now=NOW):
    return judge_criterion(criterion, [finding], now=now)


@pytest.mark.parametrize("row", rows(VERDICTS), ids=lambda row: f"{row['threshold']}: {row['why']}")
def test_the_named_bound_decides(row):
    numbers = {name: float(row[name]) if name in row else None for name in ("value", "lower", "upper")}
    found = judged(
        criterion=replace(CRITERION, bound=Bound(row["bound"]), threshold=threshold(row["threshold"])),
        finding=replace(FINDING, **numbers, events=int(row["events"])),
    )
    assert found.verdict == row["verdict"], found.reason
    assert found.further_events == (int(row["further"]) if "further" in row else None)
    assert found.reason


def test_without_events_the_reason_counts_patients():
    """(0.03/0.02)² = 2.25 times 4,000 patients is 9,000."""
    found = judged(
        criterion=replace(CRITERION, bound=Bound.UPPER, threshold=threshold("<= 0.55")),
        finding=replace(FINDING, value=0.53, lower=0.50, upper=0.56, patients=4000, events=None),
    )
    assert (found.verdict, found.further_events) == (Verdict.INCONCLUSIVE, None)
    assert "about 5,000 further patients would do" in found.reason


def test_a_reason_shows_the_digits_that_decide():
    """0.7996 must not be written as 0.800 beside "does not clear >= 0.80"."""
    assert "0.7996 does not clear >= 0.80" in judged(finding=replace(FINDING, lower=0.7996)).reason


OLD = (NOW - timedelta(days=181)).isoformat()
UNUSABLE = {
    "no value": (CRITERION, {"value": None, "reason": "one class only"}, "no value: one class only"),
    "a value that is no number": (CRITERION, {"value": float("nan")}, "no value"),
    "no bounds": (CRITERION, {"lower": None, "upper": None}, "no bounds"),
    "one bound of two": (CRITERION, {"upper": None}, "no bounds"),
    "an endless bound": (CRITERION, {"upper": float("inf")}, "no bounds"),
    "bounds the wrong way round": (CRITERION, {"lower": 0.9, "upper": 0.8}, "lies above"),
    "bounds of another level": (CRITERION, {"level": 0.9}, "of level 0.9; 0.95 is asked"),
    "a vendor's claim": (
        replace(CRITERION, min_grade=Grade.B),
        {"grade": Grade.D},
        "its grade is D; B or better is asked",
    ),
    "expired": (CRITERION, {"created": OLD}, "it expired on 2026-05-31"),
    "no date": (CRITERION, {"created": ""}, "does not say when"),
    "a date without its zone": (CRITERION, {"created": "2026-05-31T12:00:00"}, "does not say when"),
    "a date to come": (CRITERION, {"created": "2026-06-02T12:00:00+00:00"}, "still to come"),
    "events not counted": (
        replace(CRITERION, min_events=1),
        {"events": None},
        "does not say how many events",
    ),
    "an empty group": (
        CRITERION,
        {
            "value": None,
            "lower": None,
            "upper": None,
            "patients": 0,
            "events": 0,
            "reason": "nobody is in this group",
        },
        "nobody is in this group",
    ),
}


@pytest.mark.parametrize("way", UNUSABLE)
def test_a_finding_that_may_not_be_used_is_not_estimable(way):
    criterion, changes, said = UNUSABLE[way]
    found = judged(criterion=criterion, finding=replace(FINDING, **changes))
    assert found.verdict is Verdict.NOT_ESTIMABLE
    assert said in found.reason


def test_a_finding_is_used_up_to_its_last_day():
    """Measured on 31 May, valid for 180 days: until noon of 27 November."""
    last = NOW + timedelta(days=179)
    assert judged(now=last).verdict is Verdict.PASS
    assert judged(now=last + timedelta(seconds=1)).verdict is Verdict.NOT_ESTIMABLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "forecast.slope"}, "forecast.auroc was not measured"),
        (
            {"population": "held_out: deaths"},
            "not measured on 'held_out: death' (did you mean 'held_out: deaths'?)",
        ),
    ],
)
def test_a_finding_that_is_missing_is_not_estimable(change, said):
    found = judged(finding=replace(FINDING, **change))
    assert (found.verdict, found.finding) == (Verdict.NOT_ESTIMABLE, None)
    assert said in found.reason


def test_a_comparison_that_nobody_made_is_not_estimable():
    found = judged(
        criterion=replace(CRITERION, comparison="attacks"), finding=replace(FINDING, comparison="attack")
    )
    assert found.verdict is Verdict.NOT_ESTIMABLE
    assert "did you mean 'attack'?" in found.reason


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"comparison": "control"}, "name the `comparison`: one of '', 'control'"),
        ({}, "say the same of forecast.auroc"),
    ],
)
def test_what_could_mean_two_findings_is_not_estimable(others, said):
    both = [FINDING, replace(FINDING, **others)]
    found = judge_criterion(CRITERION, both, now=NOW)
    assert found.verdict is Verdict.NOT_ESTIMABLE
    assert said in found.reason


def test_a_population_may_be_left_out_where_only_one_was_measured():
    nameless = replace(CRITERION, population="")
    assert judged(criterion=nameless).verdict is Verdict.PASS
    two = judge_criterion(nameless, [FINDING, replace(FINDING, population="held_out: x")], now=NOW)
    assert "name the `population`" in two.reason


def test_too_few_events_are_inconclusive_and_say_how_many_more():
    found = judged(criterion=replace(CRITERION, min_events=250))
    assert (found.verdict, found.further_events) == (Verdict.INCONCLUSIVE, 50)
    assert "200 events of at least 250: 50 further events" in found.reason


def test_too_few_patients_are_inconclusive_and_say_how_many_more():
    found = judged(criterion=replace(CRITERION, min_patients=4000))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "2,000 further patients" in found.reason


OVERALL = """
    verdicts                          | overall       | said
    PASS PASS                         | PASS          | all 2 criteria pass
    PASS INCONCLUSIVE                 | INCONCLUSIVE  | 1 of 2 criteria are inconclusive: c1
    INCONCLUSIVE NOT_ESTIMABLE        | NOT_ESTIMABLE | 1 of 2 criteria cannot be estimated: c1
    NOT_ESTIMABLE PASS FAIL           | FAIL          | 1 of 3 criteria fail: c2
    FAIL FAIL FAIL FAIL FAIL          | FAIL          | 5 of 5 criteria fail: c0, c1, c2 and 2 more
"""
AS = {
    "PASS": {},
    "INCONCLUSIVE": {"lower": 0.79},
    "NOT_ESTIMABLE": {"value": None},
    "FAIL": {"value": 0.7, "lower": 0.6, "upper": 0.75},
}


@pytest.mark.parametrize("row", rows(OVERALL), ids=lambda row: row["verdicts"])
def test_the_gate_is_as_good_as_its_worst_criterion(row):
    wanted = row["verdicts"].split()
    criteria = tuple(replace(CRITERION, id=f"c{n}", population=f"p{n}") for n in range(len(wanted)))
    findings = [replace(FINDING, population=f"p{n}", **AS[verdict]) for n, verdict in enumerate(wanted)]
    found = judge(replace(PROTOCOL, criteria=criteria), findings, now=NOW)
    assert [each.verdict for each in found.criteria] == wanted
    assert found.verdict == row["overall"]
    assert row["said"] in found.reason


def test_a_protocol_without_criteria_never_passes():
    assert judge(replace(PROTOCOL, criteria=()), [FINDING], now=NOW).verdict is Verdict.NOT_ESTIMABLE


EXPLORATORY = {
    "the protocol says so": ({"exploratory": "the test set was looked at"}, {}, "the test set was looked at"),
    "not frozen": ({"frozen_at": None}, {}, "version 1 of the protocol is not frozen"),
    "measured before the freeze": (
        {"frozen_at": NOW - timedelta(hours=1)},
        {},
        "measured before the protocol was frozen on 2026-06-01: discrimination",
    ),
}


@pytest.mark.parametrize("way", EXPLORATORY)
def test_exploratory_evidence_never_passes_a_gate(way):
    """The criterion keeps its verdict; the gate does not open."""
    protocol, finding, said = EXPLORATORY[way]
    found = judge(replace(PROTOCOL, **protocol), [replace(FINDING, **finding)], now=NOW)
    assert found.criteria[0].verdict is Verdict.PASS
    assert found.verdict is Verdict.INCONCLUSIVE
    assert said in found.exploratory
    assert said in found.reason


def test_evidence_without_a_date_is_not_known_to_be_younger_than_the_freeze():
    dateless = replace(PROTOCOL, criteria=(replace(CRITERION, max_age=None),))
    found = judge(dateless, [replace(FINDING, created="")], now=NOW)
    assert found.criteria[0].verdict is Verdict.PASS
    assert found.verdict is Verdict.INCONCLUSIVE


def test_exploratory_evidence_may_fail_a_gate():
    found = judge(replace(PROTOCOL, frozen_at=None), [replace(FINDING, **AS["FAIL"])], now=NOW)
    assert found.verdict is Verdict.FAIL


def test_a_judgement_as_json_has_the_numbers_that_decided():
    whole = judge(PROTOCOL, [FINDING], now=NOW, bundle_digest="b").as_json()
    assert {key: whole[key] for key in ("gate", "version", "verdict", "exploratory", "bundle")} == {
        "gate": "model->silent",
        "version": 1,
        "verdict": "PASS",
        "exploratory": "",
        "bundle": "b",
    }
    assert whole["criteria"] == [
        {
            "id": "discrimination",
            "metric": "forecast.auroc",
            "population": "held_out: death",
            "value": 0.85,
            "lower": 0.81,
            "upper": 0.89,
            "bound": "lower",
            "threshold": ">= 0.80",
            "verdict": "PASS",
            "reason": "the lower bound 0.810 clears >= 0.80",
            "severity": "safety",
            "patients": 2000,
            "events": 200,
            "further_events": None,
        }
    ]
