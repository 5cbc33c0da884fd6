"""What the quality checks count, worked out by hand on drawn rows: numerators, denominators, verdicts, drift."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from salus.timeline.columns import CODE_COLUMNS, fit_columns
from salus.timeline.quality_drift import (
    GONE,
    NEW,
    WORSE,
    Limits,
    compare_codes,
    compare_values,
    measure_drift,
    stability,
)
from salus.timeline.quality_facts import Facts, measure_facts
from salus.timeline.quality_judging import Threshold, Thresholds, gate, judge, withheld, work_list
from salus.timeline.quality_kinds import KINDS, OHDSI, Handled
from salus.timeline.quality_rows import Knowledge
from salus.timeline.settings import TimelineSettings
from salus.timeline.store import write_timeline
from salus.workflows.quality import quality
from tests.drawn import events

TODAY = datetime(2026, 3, 1)
CODES = fit_columns(
    pl.DataFrame(
        [
            ("MEDS_BIRTH", "birth", None, None, None, []),
            ("MEDS_DEATH", "death", None, None, None, []),
            ("SEX//F", "event", None, None, None, []),
            ("SEX//M", "event", None, None, None, []),
            ("SITE//north", "event", None, None, None, []),
            ("SITE//south", "event", None, None, None, []),
            ("LOINC//K", "event", "mmol/L", 1.0, 9.0, ["OMOP//3023103"]),
            ("HOUSE//1", "event", None, None, None, []),
            ("SNOMED//prostate", "event", None, None, None, ["SNOMED//male"]),
            ("Visit//IP", "event", None, None, None, []),
            ("END//Visit//IP", "event", None, None, None, []),
            ("OBSERVATION_PERIOD", "event", None, None, None, []),
            ("END//OBSERVATION_PERIOD", "follow_up_end", None, None, None, []),
        ],
        schema=["code", "role", "unit", "low", "high", "parent_codes"],
        schema_overrides={"parent_codes": pl.List(pl.String)},
        orient="row",
    ),
    CODE_COLUMNS,
    what="codes",
)


def timeline(folder: Path, drawing: str, **columns: list[str | None]) -> Path:
    """Write drawn rows; ``columns``: unit and source, one a row in the drawing's order by patient and time."""
    drawn = events(drawing).with_columns(
        pl.Series(name, cells, dtype=pl.String) for name, cells in columns.items()
    )
    frame = drawn.with_columns(split=pl.lit("train"))
    write_timeline(folder, frame, codes=CODES, settings=TimelineSettings(name="drawn"))
    return folder


def facts_of(
    folder: Path, drawing: str, known: Knowledge | None = None, **columns: list[str | None]
) -> Facts:
    return measure_facts(
        timeline(folder / "t", drawing, **columns), known or Knowledge(codes=CODES, today=TODAY)
    )


def told(
    facts: Facts, check: str, about: str, by: str = "all", group: str = "all"
) -> tuple[int, int, int, int]:
    """Failed, checked, failed patients, checked patients of one fact."""
    row = facts.facts.filter(check=check, about=about, by=by, group=group).drop(
        "check", "about", "by", "group"
    )
    assert row.height == 1, f"{check} {about} {by} {group}"
    found = row.row(0)
    return (found[0], found[1], found[2], found[3])


def test_every_ohdsi_check_type_is_measured_or_has_a_reason():
    """27 types; each measured one is a kind of ours, each other one says why not."""
    assert len(OHDSI) == 27
    ours = {kind.name for kind in KINDS}
    assert {name for name, (handled, _) in OHDSI.items() if handled is Handled.MEASURED} <= ours
    assert all(why for _, why in OHDSI.values())


def test_values_below_and_above_the_range_are_counted_among_those_with_a_range(tmp_path):
    """Three of K (1 to 9): 0.5 is below, 12 above; 9 itself is within; the 500 of HOUSE//1 has no range."""
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code     | value
        A       | 2026-01-01 | LOINC//K | 0.5
        A       | 2026-01-02 | LOINC//K | 9
        B       | 2026-02-01 | LOINC//K | 12
        B       | 2026-02-02 | HOUSE//1 | 500
        """,
    )
    assert told(facts, "plausibleValueLow", "value") == (1, 3, 1, 2)
    assert told(facts, "plausibleValueHigh", "value") == (1, 3, 1, 2)
    assert told(facts, "plausibleValueLow", "value", "month", "2026-01") == (1, 2, 1, 1)
    assert told(facts, "plausibleValueHigh", "value", "code", "LOINC//K") == (1, 3, 1, 2)


def test_sites_are_told_apart_by_the_patients_own_code(tmp_path):
    """A and B are of the north, C of the south, D says none; D alone has a value below the range."""
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code        | value
        A       |            | SITE//north |
        A       | 2026-01-01 | LOINC//K    | 4
        B       |            | SITE//north |
        B       | 2026-01-01 | LOINC//K    | 4
        C       |            | SITE//south |
        C       | 2026-01-01 | LOINC//K    | 4
        D       | 2026-01-01 | LOINC//K    | 0
        """,
    )
    by = {
        group: told(facts, "plausibleValueLow", "value", "site", group)
        for group in ("north", "south", "not said")
    }
    assert by == {"north": (0, 2, 0, 2), "south": (0, 1, 0, 1), "not said": (1, 1, 1, 1)}


def test_rows_before_birth_long_after_death_and_in_the_future(tmp_path):
    """A: one row the day before birth. B dies on 1 January: day 60 (2 March) is in time, day 61 is not.

    B's rows of March lie after today (1 March) and the day after: 3 March is in the future, 2 March is not.
    """
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code       | value
        A       | 1999-12-31 | LOINC//K   | 4
        A       | 2000-01-01 | MEDS_BIRTH |
        A       | 2020-01-01 | LOINC//K   | 4
        B       | 2026-01-01 | MEDS_DEATH |
        B       | 2026-03-02 | LOINC//K   | 4
        B       | 2026-03-03 | LOINC//K   | 4
        """,
    )
    assert told(facts, "plausibleAfterBirth", "time") == (1, 2, 1, 1)
    assert told(facts, "plausibleBeforeDeath", "time") == (1, 2, 1, 1)
    assert told(facts, "plausibleValueHigh", "time") == (1, 4, 1, 2)
    assert told(facts, "plausibleValueLow", "time") == (0, 4, 0, 2)


def test_a_row_told_twice_differs_from_one_that_two_rows_of_the_source_tell(tmp_path):
    """Three rows say 4 at one moment, two of them from line 7; the 5 of line 9 contradicts all three."""
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code     | value
        A       | 2026-01-01 | LOINC//K | 4
        A       | 2026-01-01 | LOINC//K | 4
        A       | 2026-01-01 | LOINC//K | 4
        A       | 2026-01-01 | LOINC//K | 5
        A       | 2026-01-02 | LOINC//K | 5
        """,
        source=["lab:7", "lab:7", "lab:8", "lab:9", "lab:10"],
    )
    assert told(facts, "isPrimaryKey", "row") == (1, 5, 1, 1)
    assert told(facts, "saidOnce", "row") == (1, 5, 1, 1)
    assert told(facts, "oneValueAMoment", "value") == (4, 5, 1, 1)


def test_rows_far_from_every_visit_and_ends_before_their_start(tmp_path):
    """A visit from 10 to 20 January: 3 and 27 January are within a week, 28 January is not. B has no visit.

    Visit v:2 of A ends on 1 February though it begins on the 2nd.
    """
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code           | value
        A       | 2026-01-03 | LOINC//K       | 4
        A       | 2026-01-10 | Visit//IP      |
        A       | 2026-01-20 | END//Visit//IP |
        A       | 2026-01-27 | LOINC//K       | 4
        A       | 2026-01-28 | LOINC//K       | 4
        B       | 2026-01-01 | LOINC//K       | 4
        C       | 2026-02-01 | END//Visit//IP |
        C       | 2026-02-02 | Visit//IP      |
        """,
        source=["lab:1", "v:1", "v:1", "lab:2", "lab:3", "lab:4", "v:2", "v:2"],
    )
    assert told(facts, "withinVisitDates", "time") == (1, 3, 1, 1)
    assert told(facts, "plausibleStartBeforeEnd", "time") == (1, 2, 1, 2)


def test_patients_without_a_part_of_the_source_and_periods_that_touch(tmp_path):
    """Three patients; C has nothing of `lab`. A's second period begins the day after the first ended; B's does not."""
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code                    | value
        A       | 2020-01-01 | OBSERVATION_PERIOD      |
        A       | 2020-12-31 | END//OBSERVATION_PERIOD |
        A       | 2021-01-01 | OBSERVATION_PERIOD      |
        A       | 2021-06-01 | END//OBSERVATION_PERIOD |
        A       | 2021-06-01 | LOINC//K                | 4
        B       | 2020-01-01 | OBSERVATION_PERIOD      |
        B       | 2020-12-31 | END//OBSERVATION_PERIOD |
        B       | 2021-01-02 | OBSERVATION_PERIOD      |
        B       | 2021-06-01 | END//OBSERVATION_PERIOD |
        B       | 2021-06-01 | LOINC//K                | 4
        C       | 2020-01-01 | HOUSE//1                | 4
        """,
        source=["p:1", "p:1", "p:2", "p:2", "lab:1", "p:3", "p:3", "p:4", "p:4", "lab:2", "x:1"],
    )
    assert told(facts, "measurePersonCompleteness", "part", "part", "lab") == (1, 3, 1, 3)
    assert told(facts, "measureObservationPeriodOverlap", "time") == (1, 2, 1, 2)


def test_codes_of_no_standard_vocabulary_are_counted_as_rows_and_as_codes(tmp_path):
    """Of four dated rows three are HOUSE//1; of two codes one. Sex, visits and their ends are not asked."""
    known = Knowledge(codes=CODES, today=TODAY, vocabularies=("LOINC",))
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code           | value
        A       |            | SEX//F         |
        A       | 2026-01-01 | HOUSE//1       |
        A       | 2026-01-02 | HOUSE//1       |
        A       | 2026-01-03 | HOUSE//1       |
        A       | 2026-01-04 | LOINC//K       | 4
        A       | 2026-01-05 | Visit//IP      |
        A       | 2026-01-06 | END//Visit//IP |
        """,
        known,
    )
    assert told(facts, "standardConceptRecordCompleteness", "code") == (3, 4, 1, 1)
    codes = facts.facts.filter(check="sourceValueCompleteness").select("group", "failed", "checked").row(0)
    assert codes == ("rows", 1, 2)


def test_values_that_are_missing_units_that_cannot_be_and_what_one_sex_cannot_have(tmp_path):
    """K carries a value twice and lacks it once. mg/dL is neither declared nor plausible; a furlong is not known.

    Of the two with a prostate's code one is a woman; D, whose sex is not said, is not asked.
    """
    known = Knowledge(
        codes=CODES,
        today=TODAY,
        sex_of={"SNOMED//prostate": "M"},
        units_of={"LOINC//K": ("mmol/L",)},
        known_units=("mmol/L", "mg/dL"),
    )
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code             | value
        A       |            | SEX//F           |
        A       | 2026-01-01 | SNOMED//prostate |
        B       |            | SEX//M           |
        B       | 2026-01-01 | SNOMED//prostate |
        B       | 2026-01-02 | LOINC//K         | 4
        B       | 2026-01-03 | LOINC//K         | 4
        B       | 2026-01-04 | LOINC//K         | 4
        B       | 2026-01-05 | LOINC//K         |
        D       | 2026-01-01 | SNOMED//prostate |
        """,
        known,
        unit=[None, None, None, None, "mmol/L", "mg/dL", "furlong", None, None],
    )
    assert told(facts, "measureValueCompleteness", "value") == (1, 4, 1, 1)
    assert told(facts, "declaredUnit", "unit") == (2, 3, 1, 1)
    assert told(facts, "plausibleUnitConceptIds", "unit") == (1, 2, 1, 1)
    assert told(facts, "plausibleGender", "sex") == (1, 2, 1, 2)


def test_what_was_known_before_it_happened(tmp_path):
    facts = facts_of(
        tmp_path,
        """
        patient | time                | known_time          | code     | value
        A       | 2026-01-01T08:00:00 | 2026-01-01T09:10:00 | LOINC//K | 4
        A       | 2026-01-02T08:00:00 | 2026-01-02T07:59:00 | LOINC//K | 4
        """,
    )
    assert told(facts, "knownAfterItHappened", "known_time") == (1, 2, 1, 1)


def test_examples_are_positions_and_never_a_patients_number(tmp_path):
    """The source names a line; a row of `person`, or one that names the patient (1), is named by its place."""
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code     | value
        A       | 2026-01-01 | LOINC//K | 0
        A       | 2026-01-02 | LOINC//K | 0
        A       | 2026-01-03 | LOINC//K | 0
        A       | 2026-01-04 | LOINC//K | 0
        """,
        source=["lab:17", "death:1", "person:77", None],
    )
    low = facts.examples.filter(check="plausibleValueLow", about="value", by="code")
    assert low["position"].to_list() == ["lab:17", "train/0000.parquet, row 2", "train/0000.parquet, row 3"]


def test_times_that_are_only_an_order_have_no_months_no_future_and_no_distances(tmp_path):
    known = Knowledge(codes=CODES, today=TODAY, order_only=True)
    facts = facts_of(
        tmp_path,
        """
        patient | time       | code       | value
        A       | 1900-01-01 | LOINC//K   | 4
        A       | 2026-01-01 | MEDS_DEATH |
        A       | 2090-01-01 | LOINC//K   | 4
        """,
        known,
    )
    assert facts.facts.filter(by="month").is_empty()
    assert facts.facts.filter(pl.col("check").is_in(["plausibleBeforeDeath", "withinVisitDates"])).is_empty()
    assert facts.facts.filter(check="plausibleValueHigh", about="time").is_empty()


def fact(failed: int, checked: int, patients: int, **case: str) -> dict[str, object]:
    named = {"check": "plausibleValueLow", "about": "value", "by": "code", "group": "LOINC//K"} | case
    return named | {
        "failed": failed,
        "checked": checked,
        "failed_patients": patients,
        "checked_patients": checked,
    }


ONE_PERCENT = Thresholds(
    checks={
        ("plausibleValueLow", "value"): Threshold(percent=1.0, said_by="salus"),
        ("isPrimaryKey", "row"): Threshold(percent=0.0, said_by="salus"),
    },
    only={("plausibleValueLow", "value", "code", "WEIGHT"): Threshold(percent=50.0, said_by="ours.yaml")},
)


def test_more_than_the_threshold_fails_and_a_gate_is_blocked_by_what_is_fatal():
    """1 of 100 is 1 %: within. 2 of 100 is not. 40 % of WEIGHT is allowed by its own line. One repeat is fatal."""
    facts = pl.DataFrame(
        [
            fact(1, 100, 1),
            fact(2, 100, 2, group="HDL"),
            fact(40, 100, 40, group="WEIGHT"),
            fact(1, 100, 1, check="isPrimaryKey", about="row", by="part", group="lab"),
        ]
    )
    judged = judge(facts, ONE_PERCENT)
    assert judged["verdict"].to_list() == ["PASS", "FAIL", "PASS", "FAIL"]
    assert work_list(judged)["group"].to_list() == ["lab", "HDL"], "fatal first"
    assert gate(judged, ONE_PERCENT)["verdict"] == "FAIL"
    assert gate(judged.head(3), ONE_PERCENT) == {
        "verdict": "PASS",
        "blocking": ["fatal", "convention"],
        "cases": 3,
        "failing": {"fatal": 0, "convention": 0, "characterization": 1},
    }


def test_counts_of_one_to_four_patients_are_withheld_before_anything_is_written():
    """Four patients fail: not counted aloud, though a hundred were looked at. Of three looked at nothing is told."""
    shown = withheld(pl.DataFrame([fact(9, 100, 4), fact(9, 100, 5), fact(2, 3, 2), fact(0, 100, 0)]))
    assert shown["failed"].to_list() == [None, 9, None, 0]
    assert shown["checked"].to_list() == [100, 100, None, 100]


def test_the_stability_index_is_the_sum_over_tenths():
    """Two halves become 3/4 and 1/4: (0.75-0.5) ln 1.5 + (0.25-0.5) ln 0.5 = 0.10137 + 0.17329 = 0.27465."""
    before = pl.DataFrame({"code": ["K", "K"], "tenth": [0, 1], "n": [50, 50]})
    now = pl.DataFrame({"code": ["K", "K"], "tenth": [0, 1], "n": [75, 25]})
    assert stability(now, before)["stability"].item() == pytest.approx(0.274653, abs=1e-6)
    assert stability(before, before)["stability"].item() == 0


def counted(patients: int, **codes: int) -> Facts:
    """An extract of so many patients, of whom so many have each code."""
    frame = pl.DataFrame(
        [(code, had, had, 0) for code, had in codes.items()],
        schema={"code": pl.String, "rows": pl.Int64, "patients": pl.Int64, "with_value": pl.Int64},
        orient="row",
    )
    empty = pl.DataFrame()
    return Facts(patients=patients, rows=0, facts=empty, examples=empty, codes=frame)


def test_a_code_moved_where_its_share_moved_beyond_the_limit_and_beyond_chance():
    """Of 1,000 each: 500 to 400 is -10 points with +-4.3: more than 5 beyond chance. 500 to 430 (-7 +- 4.4) is not.

    NEW comes from nothing to 300, GONE goes; in extracts of 20 patients 10 to 6 is chance.
    """
    then = counted(1000, RARER=500, SAME=500, GONE=300)
    now = counted(1000, RARER=400, SAME=430, NEW=300)
    moved = dict(compare_codes(now, then, Limits()).select("code", "moved").iter_rows())
    assert moved == {"RARER": "rarer", "SAME": None, "GONE": GONE, "NEW": NEW}
    few = compare_codes(counted(20, K=6), counted(20, K=10), Limits())
    assert few["moved"].to_list() == [None]
    half = compare_codes(now, then, Limits()).filter(code="RARER")["half_width"].item()
    assert half == pytest.approx(1.96 * (0.5 * 0.5 / 1002 + 0.4002 * 0.5998 / 1002) ** 0.5, abs=1e-4)


def test_values_are_held_against_tenths_of_the_earlier_extract(tmp_path):
    """Forty values 1 to 40 against themselves: 0; against forty above all of them: all in the last tenth."""
    lines = "\n".join(f"A | 2026-01-01T{n // 60:02}:{n % 60:02}:00 | LOINC//K | {n}" for n in range(1, 41))
    high = "\n".join(
        f"A | 2026-01-01T{n // 60:02}:{n % 60:02}:00 | LOINC//K | {n + 100}" for n in range(1, 41)
    )
    head = "patient | time | code | value\n"
    then, now = timeline(tmp_path / "then", head + lines), timeline(tmp_path / "now", head + high)
    assert compare_values(then, then)["stability"].item() == 0
    assert compare_values(now, then)["stability"].item() > 5


def test_a_check_that_fails_more_than_before_is_told(tmp_path):
    """Twelve patients with a value each: none below the range then, all now."""
    head, names = "patient | time | code | value\n", "ABCDEFGHIJKL"
    good = timeline(
        tmp_path / "good", head + "\n".join(f"{name} | 2026-01-01 | LOINC//K | 4" for name in names)
    )
    bad = timeline(
        tmp_path / "bad", head + "\n".join(f"{name} | 2026-01-01 | LOINC//K | 0" for name in names)
    )
    known = Knowledge(codes=CODES, today=TODAY)
    facts = {folder: measure_facts(folder, known) for folder in (good, bad)}
    drift = measure_drift((bad, facts[bad]), (good, facts[good]), Limits())
    worse = drift.checks.filter(pl.col("moved") == WORSE).select("check", "by").rows()
    assert worse == [("plausibleValueLow", "all"), ("plausibleValueLow", "part")]
    better = measure_drift((good, facts[good]), (bad, facts[bad]), Limits())
    assert better.checks["moved"].null_count() == better.checks.height


def test_shards_add_up_to_the_same_facts(tmp_path):
    """Two patients in one split or in two splits, that is in one shard or in two: the same facts."""
    drawing = """
        patient | time       | code     | value
        A       | 2026-01-01 | LOINC//K | 0
        B       | 2026-01-01 | LOINC//K | 0
        B       | 2026-01-01 | LOINC//K | 0
        """
    known = Knowledge(codes=CODES, today=TODAY)
    one = measure_facts(timeline(tmp_path / "one", drawing), known)
    apart = events(drawing).with_columns(
        split=pl.when(pl.col("subject_id") == 1).then(pl.lit("train")).otherwise(pl.lit("tuning"))
    )
    write_timeline(tmp_path / "two", apart, codes=CODES, settings=TimelineSettings())
    assert measure_facts(tmp_path / "two", known).facts.equals(one.facts)


def test_facts_hold_no_thresholds_and_no_values(tmp_path):
    folder = timeline(tmp_path / "t", "patient | time | code | value\nA | 2026-01-01 | LOINC//K | 987.65")
    report = quality(folder, tmp_path / "out", made=TODAY.astimezone())
    written = report.facts.read_text(encoding="utf-8")
    assert "987" not in written + report.json.read_text(encoding="utf-8")
    content = json.loads(written)
    assert "threshold" not in content["facts"]["columns"]
    assert {"failed", "checked"} <= set(content["facts"]["columns"])
