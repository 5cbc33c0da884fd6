"""`salus draft` guesses what columns are; its draft can be ingested as it stands, and holds no cell of a patient."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from salus.cli import main
from salus.errors import InputMissing, InputUnreadable, SettingsRefused
from salus.intake.column_look import Look, look_at
from salus.progress import QUIET
from salus.timeline.store import read_timeline
from salus.workflows.draft import draft
from salus.workflows.ingest import ingest
from tests.small_usecase import salus

PEOPLE = """patient_id,date_of_birth,Sex,Family Name,died
1,1950-03-01,F,Ames,0
2,1961-07-15,M,Bell,1
3,1972-12-31,F,Cole,0
"""
LABS = "patient_id,taken,reported,test,value,unit\n" + "".join(
    f"{patient},2024-01-0{day} 08:30,2024-01-0{day} 11:00,{test},{value},mmol/L\n"
    for patient, day, test, value in [
        (1, 1, "K", 4.1),
        (1, 2, "SODIUM", 140),
        (2, 1, "K", 5.25),
        (3, 3, "SODIUM", 138),
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tables of three patients, and a file that is none."""
    folder = tmp_path / "hospital"
    folder.mkdir()
    (folder / "people.csv").write_text(PEOPLE)
    (folder / "labs.csv").write_text(LABS)
    (folder / "letter.pdf").write_bytes(b"%PDF")
    return folder


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two patients are enough to write a test's name down."""
    monkeypatch.setattr("salus.intake.drafting.LEAST_PATIENTS", 2)


def drafted(folder: Path) -> dict[str, object]:
    to = folder.parent / "source.yaml"
    draft(folder, to, progress=QUIET)
    found = yaml.safe_load(to.read_text())
    assert isinstance(found, dict)
    return found


def test_a_column_is_what_its_cells_and_its_name_say(folder):
    found = drafted(folder)
    assert found["patients"] == "people"
    assert found["time"] == {"zero": datetime(2000, 1, 1), "grain": "minute", "zone": "UTC"}
    people, labs = found["tables"]["people"], found["tables"]["labs"]
    assert people["row"] == "MEDS_BIRTH"
    assert people["columns"]["patient_id"] == {"subject": True}
    assert people["columns"]["date_of_birth"] == {"time": "%Y-%m-%d"}
    assert people["columns"]["Sex"] == {"each": "SEX", "static": True}
    assert set(people["columns"]["Family Name"]) == {"ignore", "write"}
    assert "known too early" in people["columns"]["died"]["ignore"]
    assert labs["columns"]["taken"] == {"time": "%Y-%m-%d %H:%M"}
    assert labs["columns"]["reported"] == {"known_time": "%Y-%m-%d %H:%M"}
    assert [labs["columns"][name] for name in ("test", "value", "unit")] == [
        {"variable": True},
        {"value": True},
        {"unit": True},
    ]
    assert labs["facts"] == {"K": {"code": "K"}, "SODIUM": {"code": "SODIUM"}}
    assert found["codes"]["K"] == {"description": "K", "decimals": 2, "unit": "mmol/L"}


def test_the_draft_can_be_ingested_as_it_stands(folder, tmp_path):
    """Three births, three sexes and four results: ten events, and nothing rejected."""
    drafted(folder)
    books = ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    assert (books.read, books.rejected, books.events) == (7, 0, 10)
    events = read_timeline(tmp_path / "timeline")
    potassium = events.filter((pl.col("code") == "K") & (pl.col("subject_id") == 2)).row(0, named=True)
    assert potassium["numeric_value"] == 5.25
    assert potassium["time"] == datetime(2024, 1, 1, 8, 30)
    assert potassium["known_time"] == datetime(2024, 1, 1, 11, 0)


def test_no_cell_of_a_patient_is_in_the_draft(folder):
    drafted(folder)
    text = (folder.parent / "source.yaml").read_text()
    assert not [cell for cell in ("Ames", "Bell", "1950", "2024-01", "5.25", "140") if cell in text]


def test_the_name_of_what_few_patients_have_is_not_written_down(folder):
    with (folder / "labs.csv").open("a") as labs:
        labs.write("2,2024-01-01 08:30,2024-01-01 11:00,Rare of Bell,1,mmol/L\n")
    found = drafted(folder)
    assert set(found["tables"]["labs"]["facts"]) == {"K", "SODIUM"}
    text = (folder.parent / "source.yaml").read_text()
    assert "Rare" not in text
    assert "1 more names" in text


def test_a_table_that_says_nothing_is_passed_over(folder):
    (folder / "visits.csv").write_text(
        "patient_id,note\n" + "".join(f"{n},Seen {n * 7919}\n" for n in (1, 2, 3))
    )
    found = drafted(folder)
    assert set(found["tables"]) == {"labs", "people"}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            "1,4.1\nX9,4.2\n3,4.3\nZ,4.4\n",
            "'patient_id' has 2 cells that are no whole number, the first in line 3",
        ),
        ("1,4.1\n,4.2\n", "'patient_id' has 1 cell that is no whole number, the first in line 3"),
    ],
)
def test_a_table_with_a_bad_patient_is_passed_over_and_it_is_said_where(folder, capsys, lines, why):
    (folder / "more.csv").write_text("patient_id,lactate\n" + lines)
    (folder / "letter.txt").touch()
    assert salus("draft", folder, "--to", folder.parent / "source.yaml") == 0
    said = capsys.readouterr().out
    assert f"more.csv: {why}" in said and "X9" not in said
    assert "letter.txt: no table" in said


def test_rows_without_a_time_are_put_in_the_order_of_a_number_that_no_two_share(tmp_path):
    """Two visits of patient 1, told in the wrong order: the second (visit 9) happens after the first (visit 4)."""
    folder = tmp_path / "hospital"
    folder.mkdir()
    (folder / "visits.csv").write_text("visit_id,patient_id,ward\n9,1,B\n4,1,A\n7,2,A\n")
    found = drafted(folder)
    assert found["tables"]["visits"]["columns"]["visit_id"] == {"time": "order"}
    ingest(tmp_path / "source.yaml", tmp_path / "timeline", progress=QUIET)
    first = read_timeline(tmp_path / "timeline").filter(pl.col("subject_id") == 1).sort("time")
    assert first["code"].to_list() == ["WARD//A", "WARD//B"]


def test_files_with_the_same_columns_are_one_table(folder):
    (folder / "labs-2023.csv").write_text(LABS.replace("2024", "2023"))
    assert drafted(folder)["tables"]["labs-2023"]["files"] == ["labs-2023.csv", "labs.csv"]


def test_the_command_says_what_it_guessed_and_what_to_do_next(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["draft", str(folder), "--to", str(tmp_path / "mine.yaml")])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "passed over:\n  letter.pdf: no table" in said
    assert "LOOK: its name says that it identifies people" in said
    assert "salus ingest" in said
    with pytest.raises(SystemExit):
        main(["draft", str(folder), "--to", str(tmp_path / "again.yaml"), "--json"])
    assert json.loads(capsys.readouterr().out)["open_guesses"] > 0


@pytest.mark.parametrize(
    ("cells", "look"),
    [
        (["1", "2", "7"], Look.WHOLE),
        (["1.0", "2.00"], Look.WHOLE),
        (["1.5", "NA", "2"], Look.NUMBER),
        (["20240131", "20231201"], Look.DATE),
        (["99999999", "12345678"], Look.WHOLE),
        (["00:07", "47:59"], Look.CLOCK),
        (["", "NA", "?"], Look.EMPTY),
        (["x", "x"], Look.CONSTANT),
        (["M", "F", "M"], Look.CHOICE),
        ([f"{letter}{number}.1" for letter in "ABCD" for number in range(10, 30)], Look.CODES),
        ([f"Said on day {number}: better" for number in range(400)], Look.TEXT),
    ],
)
def test_what_a_column_looks_like(cells, look):
    assert look_at("any", pl.Series(cells)).look is look


def test_what_could_be_two_dates_says_so():
    both = look_at("when", pl.Series(["03/04/2020", "05/06/2021"]))
    assert (both.pattern, both.others) == ("%d/%m/%Y", ("%m/%d/%Y",))
    assert look_at("when", pl.Series(["03/14/2020", "05/06/2021"])).others == ()


def test_rows_that_count_themselves_are_told_from_patients():
    assert look_at("n", pl.Series(["1", "2", "3"])).counted
    assert not look_at("n", pl.Series(["1", "3", "2"])).counted


def test_what_cannot_be_drafted_says_why(tmp_path):
    with pytest.raises(InputMissing, match="no folder"):
        draft(tmp_path / "nowhere", tmp_path / "a.yaml", progress=QUIET)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputMissing, match="no CSV or Parquet files"):
        draft(empty, tmp_path / "a.yaml", progress=QUIET)
    (empty / "a.csv").write_text("colour;size\nred;1\n")
    with pytest.raises(InputUnreadable, match="not parted by commas"):
        draft(empty, tmp_path / "a.yaml", progress=QUIET)
    (empty / "a.csv").write_text("colour,size\nred,1\n")
    with pytest.raises(InputUnreadable, match="looks like the number of a patient"):
        draft(empty, tmp_path / "a.yaml", progress=QUIET)
    (empty / "a.csv").write_bytes(b"")
    with pytest.raises(InputUnreadable):
        draft(empty, tmp_path / "a.yaml", progress=QUIET)
    assert not (tmp_path / "a.yaml").exists()


def test_what_somebody_wrote_is_not_written_over(folder, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    with pytest.raises(SettingsRefused, match="is there already"):
        draft(folder, tmp_path / "mine.yaml", progress=QUIET)
    assert (tmp_path / "mine.yaml").read_text() == "name: mine\n"


def test_whole_numbers_that_nobody_shares_are_no_facts_and_nothing_else_is_there(tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "few.csv").write_text(
        "patient_id,seen,weight\n1,2020-01-01,60\n2,2020-01-02,70\n3,2020-01-03,81\n"
    )
    with pytest.raises(InputUnreadable, match="looks like a fact"):
        draft(folder, tmp_path / "few.yaml", progress=QUIET)
