"""The report of a run: real and synthetic as groups, numbers with intervals, and what is missing said so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from salus.errors import NothingToReport
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.workflows.pages.comparison import (
    code_shares,
    invented_patients,
    main_codes,
    rates_by_period,
    value_shares,
)
from salus.workflows.pages.render import Table
from salus.workflows.pages.report_tables import code_table, forecast_table, key_numbers, utility_table
from salus.workflows.report import report
from tests.drawn import events
from tests.spec.test_quality import CODES
from tests.spec.test_quality_page import CANARY_ID, MADE, Outline, write_small

SUMMARY = {
    "example": "small",
    "books": {"read": 120, "kept": 118, "rejected": 2},
    "patients": {"train": 30, "tuning": 4, "held_out": 9},
    "train": {"seconds": 12.5, "cpu_seconds": 20.0, "patients_per_second": 80.0, "best_loss": 2.5},
    "generate": {"patients": 30, "seconds": 0.1, "cpu_seconds": 0.1, "patients_per_second": 300.0},
    "fidelity": {
        "overall": 0.94,
        "ceiling": 0.97,
        "floor": 0.6,
        "measures": [
            {
                "measure": "counts",
                "synthetic": 0.9,
                "lower": 0.88,
                "upper": 0.92,
                "ceiling": 0.95,
                "floor": 0.5,
            }
        ],
    },
    "utility": [
        {
            "task": "death_5y",
            "real_auroc": {"value": 0.8, "lower": 0.75, "upper": 0.85},
            "synthetic_auroc": {"value": 0.76, "lower": 0.7, "upper": 0.82},
        }
    ],
    "forecast": [{"task": "death_5y", "auroc": {"value": 0.78, "lower": 0.7, "upper": 0.84}, "auprc": None}],
    "seed": 7,
    "versions": {"torch": "2.13.0"},
}


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder as a demo leaves it: timeline, synthetic, model with its losses, summary."""
    write_small(tmp_path / "timeline")
    write_small(tmp_path / "whole", synthetic=True)
    invented = read_timeline(tmp_path / "whole").filter(pl.col("subject_id") != CANARY_ID)
    settings = replace(read_settings(tmp_path / "whole"), synthetic=True)
    write_timeline(tmp_path / "synthetic", invented, codes=read_codes(tmp_path / "whole"), settings=settings)
    curve = [
        {"step": 1, "epoch": 0.5, "train": 3.0, "tuning": 3.2},
        {"step": 2, "epoch": 1.0, "train": 2.5, "tuning": 2.8},
    ]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text(json.dumps({"log": {"curve": curve}}))
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    return tmp_path


def test_the_report_says_what_was_measured_and_what_it_is_not(run: Path):
    page = plain(report(run, made=MADE).read_text(encoding="utf-8"))
    assert "Not for clinical use." in page
    assert "SYNTHETIC patient 1" in page
    assert "0.900 [0.880 to 0.920]" in page, "fidelity with its interval"
    assert "0.800 [0.750 to 0.850]" in page, "utility, trained on real"
    assert "0.950" in page, "0.76 / 0.80"
    assert "used to stop 2.800 nats per fact" in page
    assert "<dd>7</dd>" in page, "the seed"


def test_the_report_is_one_offline_file_with_ordered_headings_and_words_for_every_picture(run: Path):
    outline = Outline(report(run, made=MADE).read_text(encoding="utf-8"))
    assert outline.levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert (outline.unsaid, outline.scripts) == (0, 0)
    assert all(link.startswith("#") for link in outline.links)


def test_no_real_patient_is_on_the_report(run: Path):
    page = report(run, made=MADE).read_text(encoding="utf-8")
    assert str(CANARY_ID) not in page
    assert "987" not in page


def test_a_run_that_stopped_early_gets_a_report_that_says_what_is_missing(tmp_path: Path):
    write_small(tmp_path / "timeline")
    page = report(tmp_path, made=MADE).read_text(encoding="utf-8")
    assert page.count("not computed") >= 8
    assert "The learning curve: not computed in this run." in page


def test_the_same_run_gives_the_same_bytes(run: Path):
    assert report(run, made=MADE).read_bytes() == report(run, made=MADE).read_bytes()


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(NothingToReport, match="timeline"):
        report(tmp_path)


def test_a_summary_cut_short_is_named(run: Path):
    (run / "summary.json").write_text('{"books": ')
    with pytest.raises(NothingToReport, match=r"summary\.json"):
        report(run)


def test_a_value_without_bounds_or_a_task_without_values_is_written_as_such():
    assert [plain(cell) for cell in forecast_table(SUMMARY).rows[0][:2]] == [
        "death_5y",
        "0.780 [0.700 to 0.840]",
    ]
    assert (
        dict(zip(forecast_table(SUMMARY).heads, forecast_table(SUMMARY).rows[0], strict=True))["AUPRC"]
        == "not computed"
    )
    assert utility_table({"utility": []}).rows == ()
    assert key_numbers(None)[0].value == "not computed"


def crowd(name: str, patients: int, value: float) -> str:
    letters = "ABCDEFGHIJKL"[:patients]
    return "\n".join(
        f"{letter} | 2000-01-{day} | {name} | {value}" for letter in letters for day in ("02", "03")
    )


HEAD = "patient | time | code | value\n"


def test_a_code_of_fewer_than_five_patients_is_not_a_dot():
    """Six of six real patients have HDL, four have SBP: only HDL is compared."""
    real = events(HEAD + crowd("HDL", 6, 40) + "\n" + crowd("SBP", 4, 120))
    shares = code_shares(real, events(HEAD + crowd("HDL", 5, 40) + "\n" + "F | 2000-01-02 | SEX//F | "))
    assert shares.rows() == [("HDL", 1.0, 5 / 6)]


def test_rates_are_rows_a_patient_of_the_whole_population():
    """All six patients have a row at hour 24 and one at hour 48: periods 6 and 12 of four hours, one row each."""
    rates = rates_by_period(
        events(HEAD + crowd("HDL", 6, 40)),
        events(HEAD + crowd("HDL", 5, 40)),
        codes=CODES,
        time_zero=datetime(2000, 1, 1),
    )
    assert rates.select("start", "rate", "who").rows() == [
        (6, 1.0, "real"),
        (12, 1.0, "real"),
        (6, 1.0, "synthetic"),
        (12, 1.0, "synthetic"),
    ]


def test_values_are_shares_in_the_same_bins():
    """Six patients at 40 and six at 41 against six at 40: half and half against all."""
    both = pl.concat([events(HEAD + crowd("HDL", 6, 40)), events(HEAD + crowd("HDL", 6, 41))])
    shares = value_shares(both, events(HEAD + crowd("HDL", 6, 40)), "HDL", decimals=0)
    assert shares.rows() == [
        (39.5, 40.5, 0.5, "real"),
        (40.5, 41.5, 0.5, "real"),
        (39.5, 40.5, 1.0, "synthetic"),
        (40.5, 41.5, 0.0, "synthetic"),
    ]


def test_a_constant_has_no_distribution_to_draw():
    one = events(HEAD + crowd("HDL", 6, 40))
    assert value_shares(one, one, "HDL").is_empty()
    assert main_codes(one, CODES) == [], "fewer than a hundred patients"


def test_an_invented_patient_is_told_by_moments_with_units():
    drawn = events("""
        patient | time             | code   | value
        A       |                  | SEX//F |
        A       | 2000-01-01T06:00 | HDL    | 40
        A       | 2000-01-01T06:00 | SBP    | 120
        A       | 2002-01-01       | HDL    | 41
    """).with_columns(unit=pl.when(pl.col("code") == "HDL").then(pl.lit("mg/dL")))
    told = invented_patients(drawn, codes=CODES, time_zero=datetime(2000, 1, 1))
    assert told == [
        [("always", "Female"), ("6.0 h", "HDL 40 mg/dL; Systolic pressure 120"), ("year 2.0", "HDL 41 mg/dL")]
    ]


def test_a_cell_stands_under_its_head():
    with pytest.raises(ValueError, match="does not have 2 cells"):
        Table(name="t", caption="c", heads=("a", "b"), rows=(("1", "2", "3"),))


def test_the_codes_furthest_apart_come_first():
    """MI differs by 10 % of patients, HDL by half its values, SEX by nothing."""
    by_code = pl.DataFrame(
        {
            "code": ["SEX//F", "MI", "HDL"],
            "real_share": [0.5, 0.2, 0.9],
            "share": [0.5, 0.1, 0.9],
            "real_rows": [0.5, 0.2, 4.0],
            "rows": [0.5, 0.1, 4.0],
            "values_alike": [None, None, 0.5],
        }
    )
    rows = code_table(by_code, {"MI": "Infarction"}).rows
    assert [row[0] for row in rows] == ["HDL", "MI", "SEX//F"]
    assert [plain(cell) for cell in rows[1]] == ["MI", "Infarction", "20.0 %", "10.0 %", "0.2", "0.1", "–"]
