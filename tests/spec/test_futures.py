"""Sampled futures of a dozen held-out patients: who, what is drawn, and what the pages say."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
import torch

from salus.programme.usecase_folder import UseCaseFolder
from salus.progress import QUIET
from salus.timeline.store import read_codes, read_settings, read_timeline, write_timeline
from salus.trajectory.forecasting import Settling, Start
from salus.trajectory.futures import Chances, fan, follow, incidence
from salus.trajectory.situation import Drawn
from salus.workflows.forecast import ForecastSettings, forecast
from salus.workflows.futures import FuturesSettings, futures, write_futures
from salus.workflows.futures_choice import choose
from salus.workflows.pages.sheet import Sheet, read_sheet
from tests.ward_usecase import copy_of

MADE = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
DIES, STROKE = 0, 1


class Script:
    """A sampler that plays what a test wrote: moments of (time, code or None, chance of stroke) for each row."""

    vocabulary = SimpleNamespace(longest_record=20)

    def __init__(self, rows: list[list[tuple[int, int | None, float]]]) -> None:
        self.rows = [list(row) for row in rows]

    def next_moment(self, situation, *, ends, silent_until):
        assert ends is False
        moments = [self.rows[row].pop(0) for row in situation.row.tolist()]
        place = [n for n, (_, code, _) in enumerate(moments) if code is not None]
        drawn = Drawn(
            row=situation.row.numpy()[place],
            time=np.asarray([moments[n][0] for n in place], dtype=np.int64),
            level=np.asarray([moments[n][1] for n in place], dtype=np.int64),
            inside=np.zeros(len(place), dtype=np.float32),
            chance=torch.tensor([[chance] for _, _, chance in moments]),
        )
        situation.time = torch.tensor([time for time, _, _ in moments])
        return situation, drawn, None

    def dies(self, drawn):
        return np.unique(drawn.row[drawn.level == DIES])


class Rows(SimpleNamespace):
    """Which rows go on."""

    def of(self, kept):
        return Rows(row=self.row[kept], time=self.time[kept])


def played(rows, *, horizon):
    """Stroke within ``horizon`` after the index at 100: what follow() gives for scripted futures."""
    first = Rows(row=torch.arange(len(rows)), time=torch.zeros(len(rows), dtype=torch.int64))
    settles = np.asarray([[False, True]])
    settling = Settling(
        index=np.full(len(rows), 100), horizons=np.asarray([horizon], dtype=np.int64), settles=settles
    )
    return follow(Start(sampler=Script(rows), situation=first, settling=settling))


def test_a_future_that_ends_in_death_stays_in_the_count():
    """Two futures. One: chance 0.5 at hour 1, then death: nothing counts after. The other: 0.1 at 1, 0.2 at hour 3.

    By hand: at 1 the mean of 0.5 and 0.1 is 0.3; at 3 the mean of 0.5 and 0.3 is 0.4. One less Kaplan-Meier would
    leave the dead out at 3 and say more.
    """
    _, (row, after, chance) = played(
        [[(101, DIES, 0.5), (103, None, 0.9)], [(101, None, 0.1), (103, None, 0.2), (111, None, 0.7)]],
        horizon=10,
    )
    chances = Chances(patient=np.zeros(len(row), dtype=np.int64), future=row, after=after, chance=chance)
    curve = incidence(chances, patient=0, samples=2, grid=[0, 1, 2, 3, 10])
    assert curve["risk"].to_list() == pytest.approx([0.0, 0.3, 0.3, 0.4, 0.4])


def test_the_band_of_a_curve_is_the_monte_carlo_error_of_the_mean():
    """0.5 and 0.1: standard deviation 0.2828, error 1.96 * 0.2828 / sqrt(2) = 0.392, so 0.3 lies in 0 to 0.692."""
    chances = Chances(
        patient=np.zeros(2, dtype=np.int64),
        future=np.asarray([0, 1]),
        after=np.asarray([1, 1]),
        chance=np.asarray([[0.5], [0.1]], dtype=np.float32),
    )
    last = incidence(chances, patient=0, samples=2, grid=[0, 1]).row(-1, named=True)
    assert (last["lower"], last["upper"]) == pytest.approx((0.0, 0.692), abs=1e-3)


def test_an_outcome_counts_once_and_values_go_on_after_it():
    """Stroke at 102 settles the question: the chance at 104 does not count, but the future goes on to its horizon."""
    drawn, (_, after, chance) = played([[(102, STROKE, 0.3), (104, 1, 0.9), (110, 1, 0.9)]], horizon=10)
    assert after.tolist() == [2, 4, 10]
    assert chance[:, 0].tolist() == pytest.approx([0.3, 0, 0])
    assert sum(len(moment.row) for moment in drawn) == 3


def test_what_lies_beyond_the_horizon_is_neither_drawn_nor_counted():
    drawn, (_, _, chance) = played([[(105, None, 0.3), (111, STROKE, 0.9)]], horizon=10)
    assert chance[:, 0].tolist() == pytest.approx([0.3, 0.0])
    assert sum(len(moment.row) for moment in drawn) == 0


def test_a_band_takes_each_future_once_and_wants_enough_of_them():
    """Bin 0 to 10: future 0 has 1 and 3 (mean 2), future 1 has 4, future 2 has 6: median 4, quarters 3 and 5.

    Bin 10 to 20 has two futures only and is left out where three are wanted. The value at 0 lies at the index.
    """
    values = pl.DataFrame(
        {
            "future": [0, 0, 1, 2, 0, 1, 2],
            "after": [1.0, 10.0, 5.0, 5.0, 11.0, 20.0, 0.0],
            "value": [1.0, 3.0, 4.0, 6.0, 9.0, 9.0, 99.0],
        }
    )
    bands = fan(values, edges=[0, 10, 20], least=3)
    assert bands.rows(named=True) == [
        {
            "start": 0.0,
            "end": 10.0,
            "futures": 3,
            "lowest": pytest.approx(2.2),
            "low": 3.0,
            "middle": 4.0,
            "high": 5.0,
            "highest": pytest.approx(5.8),
        }
    ]


def test_the_middle_patient_of_each_group_by_risk_is_chosen():
    """Nine patients, three groups of three: the second of each, whatever the order of rows."""
    risks = pl.DataFrame({"subject_id": [9, 8, 7, 6, 5, 4, 3, 2, 1], "risk": [x / 10 for x in range(1, 10)]})
    assert choose(risks.sample(9, shuffle=True, seed=1), 3) == [8, 5, 2]


def test_patients_of_equal_risk_are_taken_by_number_and_few_patients_are_all_taken():
    risks = pl.DataFrame({"subject_id": [3, 1, 2], "risk": [0.1, 0.1, 0.1]})
    assert choose(risks, 12) == [1, 2, 3]


@pytest.fixture(scope="module")
def drawn_ward(ward_usecase: UseCaseFolder, tmp_path_factory: pytest.TempPathFactory) -> UseCaseFolder:
    """The ward with the futures of twelve patients."""
    place = copy_of(ward_usecase, tmp_path_factory.mktemp("futures") / "ward")
    write_futures(place, settings=FuturesSettings(samples=96, seed=3), made=MADE, progress=QUIET)
    return place


def listed_in(place: UseCaseFolder) -> list[dict]:
    """The list of patients."""
    return json.loads((place.futures / "futures.json").read_text())


def sheets(place: UseCaseFolder) -> list[tuple[Path, Sheet]]:
    """All pages with their folders."""
    folders = sorted(path for path in place.futures.iterdir() if path.is_dir())
    return [(folder, read_sheet(folder)) for folder in folders]


def test_a_dozen_pages_and_a_list_are_written(drawn_ward):
    listed = listed_in(drawn_ward)
    assert [row["number"] for row in listed] == list(range(1, 13))
    assert [folder.name for folder, _ in sheets(drawn_ward)] == [f"{n:02d}" for n in range(1, 13)]
    assert {risk["task"] for row in listed for risk in row["risks"]} == {"death_30d"}
    risks = [row["risks"][0]["risk"] for row in listed]
    assert risks == sorted(risks)
    assert re.fullmatch(r"Patient 1, (fe)?male, \d\d years", listed[0]["title"])


def test_nothing_is_drawn_at_or_before_the_index_nor_after_death_or_the_horizon(drawn_ward):
    rows = pl.read_parquet(drawn_ward.futures / "futures.parquet")
    assert rows.columns == ["number", "future", "hours_since_index", "code", "value"]
    hours = rows["hours_since_index"].to_numpy()
    assert hours.min() > 0
    assert hours.max() <= 30 * 24
    death = rows.filter(pl.col("code") == "MEDS_DEATH").select("number", "future", dead="hours_since_index")
    assert (
        rows.join(death, on=["number", "future"])
        .filter(pl.col("hours_since_index") > pl.col("dead"))
        .is_empty()
    )


def test_a_curve_ends_at_the_forecast_s_risk(ward_usecase, tmp_path):
    """Within the Monte Carlo error of both: four standard errors of 400 futures each, for each of twelve patients.

    The forecast is made anew with as many futures: of 32 the least risk of a hundred patients is least by luck too.
    """
    place = copy_of(ward_usecase, tmp_path / "ward")
    settings = ForecastSettings(task=place.task, samples=400, seed=8)
    forecast(place.model, place.timeline, to=place.risks, settings=settings, progress=QUIET)
    futures(place, samples=400, seed=3, progress=QUIET)
    for row, (_, sheet) in zip(listed_in(place), sheets(place), strict=True):
        said = next(s for s in sheet.sections if s.name == "outcomes").figures[0].alternative
        end = float(re.findall(r"death_30d ([\d.]+)", said)[0]) / 100
        told = row["risks"][0]
        error = (told["upper"] - told["lower"]) / 2 / 1.96
        assert end == pytest.approx(told["risk"], abs=4 * 2**0.5 * error + 0.001)


def test_a_page_names_no_patient(drawn_ward):
    """Neither the id nor the row it came from."""
    ids = {str(n) for n in pl.read_parquet(drawn_ward.risks)["subject_id"].unique().to_list()}
    for folder, sheet in sheets(drawn_ward):
        assert "subject" not in (folder / "sheet.json").read_text()
        cells = {cell for s in sheet.sections for table in s.tables for row in table.rows for cell in row}
        assert not cells & ids


def test_the_page_says_what_was_known_with_unit_and_time(drawn_ward):
    """At the index, the day of entry, one potassium is known; the later ones are held back."""
    _, sheet = sheets(drawn_ward)[0]
    known = next(s for s in sheet.sections if s.name == "known").tables[0]
    assert "REAL" in known.caption
    assert len(known.rows) == 1
    what, value, when = known.rows[0]
    assert (what, when) == ("potassium", "at the index")
    assert re.fullmatch(r"\d\.\d\smmol/L", value)


def test_an_outcome_that_is_there_already_is_not_asked_for(ward_usecase, tmp_path):
    """Women are given a second outcome they have had before: no risk in the list, no curve, and the page says so."""
    place = copy_of(ward_usecase, tmp_path / "ward")
    second = (
        "  - name: again\n    any_of: [MEDS_DEATH]\n    within: {days: 30}\n    unless_before: [SEX//F]\n"
    )
    place.task.write_text(place.task.read_text() + second)
    risks = pl.read_parquet(place.risks)
    pl.concat([risks, risks.with_columns(task=pl.lit("again"))]).write_parquet(place.risks)
    futures(place, samples=4, seed=1, progress=QUIET)
    for row, (_, sheet) in zip(listed_in(place), sheets(place), strict=True):
        woman = "female" in row["title"]
        assert ("again" in {risk["task"] for risk in row["risks"]}) is not woman
        outcomes = next(s for s in sheet.sections if s.name == "outcomes")
        assert ("again was present at the index already and is not drawn." in outcomes.words) is woman
        assert ("again" in outcomes.figures[0].alternative) is not woman
        told = next(s for s in sheet.sections if s.name == "risks-section").tables[0].rows[1]
        assert (told[1] == "present already") is woman


def test_a_result_released_later_than_it_was_drawn_says_when(ward_usecase, tmp_path):
    """The index a day after entry; the potassium of day 0 released 12 hours after it was drawn."""
    place = copy_of(ward_usecase, tmp_path / "ward")
    place.task.write_text(place.task.read_text().replace("ENTRY}", "ENTRY, after: {days: 1}}"))
    late = pl.when(pl.col("code") == "LOINC//2823-3").then(pl.col("known_time") + pl.duration(hours=12))
    events = read_timeline(place.timeline).with_columns(known_time=late.otherwise("known_time"))
    codes, settings = read_codes(place.timeline), read_settings(place.timeline)
    write_timeline(place.timeline, events, codes=codes, settings=settings)
    futures(place, patients=1, samples=4, seed=1, progress=QUIET)
    ((_, sheet),) = sheets(place)
    known = next(s for s in sheet.sections if s.name == "known").tables[0]
    assert known.heads[3] == "known to staff"
    said = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in known.rows[0]]
    assert said[2:] == ["24.0 hours before", "12.0 hours before"]


def test_the_baseline_s_risk_stands_beside_the_forecast(drawn_ward):
    rows = [
        table.rows[0]
        for _, sheet in sheets(drawn_ward)
        for s in sheet.sections
        for table in s.tables
        if table.name == "risks"
    ]
    beside = pl.read_parquet(drawn_ward.evidence / "risks.parquet")
    measured = {f"{risk:.3f}" for risk in beside["real_risk"].to_list()}
    assert all(row[0] == "death_30d" for row in rows)
    assert {row[2] for row in rows} - {"not measured"} <= measured
    assert any(row[2] in measured for row in rows)


def test_without_evidence_the_baseline_is_left_out_and_the_page_says_so(ward_usecase, tmp_path):
    place = copy_of(ward_usecase, tmp_path / "ward")
    (place.evidence / "bundle.json").unlink()
    futures(place, patients=1, samples=4, seed=1, progress=QUIET)
    ((_, sheet),) = sheets(place)
    section = next(s for s in sheet.sections if s.name == "risks-section")
    assert section.tables[0].rows[0][2] == "not measured"
    assert any("no evidence bundle" in note for note in section.notes)


def test_every_picture_is_a_whole_file_with_words_for_those_who_do_not_see_it(drawn_ward):
    for folder, sheet in sheets(drawn_ward):
        figures = [figure for section in sheet.sections for figure in section.figures]
        assert [figure.file for figure in figures] == ["outcomes.svg", "value-1.svg"]
        for figure in figures:
            root = ElementTree.fromstring((folder / figure.file).read_text())
            assert root.get("aria-label") == figure.alternative
            assert "prefers-color-scheme" in ElementTree.tostring(root, encoding="unicode")


def test_the_page_says_what_futures_are_and_are_not(drawn_ward):
    _, sheet = sheets(drawn_ward)[0]
    notes = next(s for s in sheet.sections if s.name == "notes")
    assert notes.mark == "Not for clinical use."
    assert any("not what will happen" in note for note in notes.notes)
    assert any("96 futures with seed 3" in note for note in notes.notes)


def test_where_nothing_is_measured_after_the_index_the_page_says_so(ward_usecase, tmp_path):
    """The index on day 61 lies after every potassium: no fan, and a plain sentence."""
    place = copy_of(ward_usecase, tmp_path / "ward")
    later = place.task.read_text().replace("{code: WARD//ENTRY}", "{code: WARD//ENTRY, after: {days: 51}}")
    place.task.write_text(later)
    futures(place, patients=2, samples=16, seed=1, progress=QUIET)
    for _, sheet in sheets(place):
        values = next(s for s in sheet.sections if s.name == "values")
        assert "No measurements are recorded after the index" in values.words[0]
        assert [figure.label for figure in values.figures] == ["REAL"]
