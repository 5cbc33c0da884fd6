"""A demo's numbers keep the form that others rely on, and a benchmark's rows say what was met."""

from __future__ import annotations

import json

import pytest

from benchmarks.rows import Row, is_met
from benchmarks.spine import rows
from benchmarks.summary_contract import problems
from benchmarks.tables import table
from salus.cli.demo import results
from salus.workflows.stages import Done, Json
from salus.workflows.summary import summarise


def interval(value: float) -> dict[str, Json]:
    return {"value": value, "lower": value - 0.02, "upper": value + 0.02}


def done(name: str, result: Json, *, seconds: float = 2.0) -> Done:
    return Done(
        name=name,
        digest="d",
        seconds=seconds,
        cpu_seconds=2 * seconds,
        peak_bytes=1_500_000_000,
        result=result,
    )


TASKS = ("diabetes_5y", "hypertension_5y", "cardiovascular_5y", "death_5y")
STAGES = [
    done(
        "ingest",
        {
            "books": {"read": 1_000_000, "kept": 999_990, "rejected": 10},
            "patients": {"train": 70, "tuning": 10, "held_out": 20},
        },
    ),
    done("quality", {"rows": 1}),
    done(
        "train",
        {
            "seconds": 300.0,
            "cpu_seconds": 600.0,
            "patients_per_second": 1.0,
            "facts_per_second": 9.0,
            "epochs": 3.0,
            "best_loss": 4.5,
        },
        seconds=310.0,
    ),
    done("generate", {"patients": 70, "seconds": 0.2, "cpu_seconds": 0.4, "patients_per_second": 350.0}),
    done(
        "appraise",
        {
            "fidelity": {"overall": 0.9, "ceiling": 0.97, "floor": 0.5},
            "utility": [
                {
                    "task": task,
                    "real_auroc": interval(0.80),
                    "synthetic_auroc": interval(0.74),
                    "ratio": interval(0.925),
                }
                for task in TASKS
            ],
            "forecast": [
                {
                    "task": task,
                    **{
                        name: interval(0.78)
                        for name in (
                            "auroc",
                            "auprc",
                            "brier",
                            "slope",
                            "intercept",
                            "baseline_auroc",
                            "auroc_minus_baseline",
                        )
                    },
                }
                for task in TASKS
            ],
            "privacy": {
                "membership_auc": {"value": 0.52, "lower": 0.50, "upper": 0.54},
                "control": interval(0.50),
                "baseline": interval(0.50),
                "attacks": [
                    {
                        "name": "likelihood",
                        **interval(0.52),
                        "control": interval(0.50),
                        "baseline": interval(0.50),
                    }
                ],
            },
        },
    ),
]
GATE: dict[str, Json] = {
    "verdict": "FAIL",
    "reason": "1 of 1 criteria is not met",
    "criteria": [
        {
            "id": "utility",
            "metric": "utility.auroc_ratio",
            **interval(0.925),
            "bound": "lower",
            "threshold": ">= 0.95",
            "verdict": "FAIL",
            "reason": "even the upper bound 0.945 lies below 0.95",
        }
    ],
}


@pytest.fixture
def summary() -> dict[str, Json]:
    return json.loads(json.dumps(summarise("cohort", 7, STAGES, gate=GATE)))


def test_a_summary_keeps_its_contract(summary):
    assert problems(summary) == []


def test_a_summary_without_books_does_not(summary):
    del summary["books"]
    assert problems(summary) == ["$: 'books' is a required property"]


def test_rates_are_rows_read_by_seconds(summary):
    """1,000,000 rows in 2 s are 500,000 rows a second."""
    assert summary["ingest"]["rows_per_second"] == 500_000.0


def test_the_whole_costs_what_its_stages_cost(summary):
    """2 + 2 + 310 + 2 + 2 = 318 s, twice that of processor time, 1.5 GB at most."""
    assert (summary["seconds"], summary["cpu_seconds"], summary["peak_memory_gb"]) == (318.0, 636.0, 1.5)


def test_no_path_and_no_machine_name_is_in_a_summary(summary):
    assert "/" not in json.dumps(summary["hardware"])
    assert set(summary["hardware"]) == {"cpu", "cores", "memory_gb", "system"}


def test_the_closing_table_names_every_task_with_what_it_stands_beside(summary):
    text = "\n".join(results(summary))
    assert "utility, death_5y" in text
    assert "0.740 (0.720 to 0.760)" in text
    assert "real-trained 0.800 (0.780 to 0.820)" in text


def test_the_closing_lines_say_what_the_gate_and_the_attack_say(summary):
    text = "\n".join(results(summary))
    assert "gate: FAIL. 1 of 1 criteria is not met" in text
    assert "membership attack" in text
    assert "control 0.500 (0.480 to 0.520)" in text


def test_a_gate_speaks_one_of_five_words(summary):
    summary["gate"]["verdict"] = "OK"
    assert "$.gate.verdict" in problems(summary)[0]


def by_name(found: list[Row]) -> dict[str, Row]:
    return {row.name: row for row in found}


def test_a_benchmark_has_a_row_for_every_number_asked_for_the_missed_ones_included(summary):
    found = by_name(rows("cohort", summary, seed=7))
    utility = found["cohort: utility of synthetic patients, death_5y, AUROC ratio"]
    assert (utility.value, utility.target, utility.met, utility.baseline) == (0.925, 0.95, False, 0.80)
    assert found["cohort: generate"].met
    assert found["cohort: training"].value == 5.0
    assert found["cohort: whole demo"].met
    assert len(found) == 2 + 2 * len(TASKS) + 3


def test_what_was_not_measured_is_a_row_without_a_value_that_is_not_met():
    found = rows("icu", {}, seed=7)
    assert [row.value for row in found] == [None] * 5
    assert not any(row.met for row in found)


@pytest.mark.parametrize(
    ("value", "direction", "met"),
    [(0.95, "max", True), (0.949, "max", False), (0.95, "min", True), (None, "min", False)],
)
def test_a_target_is_met_when_the_point_value_reaches_it(value, direction, met):
    assert is_met(value, direction, 0.95) is met


def test_the_table_marks_what_was_missed(summary):
    text = table(rows("cohort", summary, seed=7))
    assert "| cohort: utility of synthetic patients, death_5y, AUROC ratio | 0.925 (0.905 to 0.945) |" in text
    assert "**no**" in text
