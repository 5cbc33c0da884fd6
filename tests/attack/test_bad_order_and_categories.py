"""Broken orders and categories: rejected with a reason, or a source.yaml that is refused; never a guessed time.

The canary 987.65 must not come out in an error or a rejection.
"""

import pytest

from salus.errors import SourceKeyError, SourceValueError
from salus.timeline.store import read_rejected, read_timeline
from tests.spec.test_source_order import VISITS, YAML, read

CANARY = "987.65"
NO_CATEGORY = (
    "no category: it is over 64 characters, or has //, a control character, or a space or / at an end"
)


def rejected(folder, row):
    """Ingest goes on, balances its books and lists what is refused, without a value."""
    timeline, books = read(folder, visits=VISITS + row)
    rows = read_rejected(timeline)
    assert books.read == books.kept + books.rejected and books.rejected == rows.height
    assert CANARY not in str(rows.rows()) + str(books.as_json())
    return rows.rows()


@pytest.mark.parametrize(
    "cell", ["a//b", " a", "a ", "/a", "a/", "", "x" * 65, "a\tb", "*", "//", f"{CANARY} "]
)
def test_a_cell_that_cannot_be_part_of_a_code(tmp_path, cell):
    assert rejected(tmp_path, f"21,8,Asian,{cell},No,2,NO\n") == [("visits.csv", 5, "diagnosis", NO_CATEGORY)]


def test_a_category_over_two_lines(tmp_path):
    assert rejected(tmp_path, '21,8,Asian,"a\nb",No,2,NO\n') == [("visits.csv", 5, "diagnosis", NO_CATEGORY)]


@pytest.mark.parametrize(
    "cell", ["Ünal", "a b", "Emergency/Trauma", "[70-80)", ">200", "x" * 64, "null", "a,b"]
)
def test_a_strange_cell_that_can_be_part_of_a_code(tmp_path, cell):
    assert rejected(tmp_path, f'21,8,Asian,"{cell}",No,2,NO\n') == []
    assert f"ICD9//{cell}" in read_timeline(tmp_path / "timeline")["code"].to_list()


@pytest.mark.parametrize("number", ["", "?", "first", "1.5", CANARY, "1e3", "nan", "9" * 30])
def test_an_order_that_is_no_whole_number(tmp_path, number):
    assert rejected(tmp_path, f"{number},8,Asian,250,No,2,NO\n") == [
        ("visits.csv", 5, "visit", "the number that orders the rows is not a whole number")
    ]


@pytest.mark.parametrize("number", ["20", "020"])
def test_two_rows_of_one_patient_with_the_same_number(tmp_path, number):
    """Nobody can say which came first, so the first on file stands and the second is rejected."""
    assert rejected(tmp_path, f"{number},8,Asian,250,No,2,NO\n") == [
        ("visits.csv", 5, "visit", "the patient has this number already on line 4 of visits.csv")
    ]


def test_two_patients_may_have_the_same_number(tmp_path):
    assert rejected(tmp_path, "900,8,Asian,250,No,2,NO\n") == []


def test_numbers_beyond_the_exact_floats_are_still_in_order(tmp_path):
    """9007199254740993 is one more than 9007199254740992; as floating-point numbers they would be the same."""
    rows = "9007199254740993,9,Other,250,No,2,NO\n9007199254740992,9,Asian,250,No,2,NO\n"
    assert rejected(tmp_path, rows) == []
    seen = read_timeline(tmp_path / "timeline").filter(subject_id=9)["code"].to_list()
    assert seen.index("RACE//Asian") < seen.index("RACE//Other")


def test_a_repeated_row_and_a_strange_patient_keep_their_reasons(tmp_path):
    rows = rejected(tmp_path, "20,8,?,E849.7,No,2,NO\n5,x,Asian,250,No,2,NO\n")
    assert [row[1:] for row in rows] == [
        (5, "", "the same in every cell as line 4 of visits.csv"),
        (6, "patient", "the patient's id is not a whole number"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{time: order}", "{time: orde}", "did you mean 'order'"),
        ("days: {code: DAYS}", "days: {known_time: order}", "'known_time' cannot be 'order'"),
        ("days: {code: DAYS}", "days: {known_time: day}", "has 'time: order' and tells other times"),
        ("days: {code: DAYS}", "days: {moment: end, unit: day}", "has 'time: order' and tells other times"),
        ("days: {code: DAYS}", "days: {age: true}", "belongs to the patient"),
        ("days: {code: DAYS}", "days: {code: DAYS, static: true}", "belongs to the patient"),
        ("later: 1", "later: 2", "before the next row"),
        ("later: 1", "later: 0", "whole number of grains"),
        ("later: 1", "later: 0.5", "whole number of grains"),
        ("visit: {time: order}", "visit: {ignore: x}", "none is its first"),
        ("    row: VISIT//NEXT\n", "", "not the others"),
        ("first_row: VISIT//FIRST", "first_row: VISIT//FIRSTT", "did you mean 'VISIT//FIRST'"),
        ("zero: 2000-01-01T00:00:00, ", "", "no time zero"),
        ("{each: RACE}", "{each: RCAE}", "of 'race' (did you mean 'RACE'?)"),
        ("{each: RACE}", "{each: RACE, code: DAYS}", "either 'code', 'values' or 'each'"),
        ("{each: RACE}", "{only: [a]}", "either 'code', 'values' or 'each'"),
        ("{each: RACE}", "{code: DAYS, only: [a]}", "not of which prefix"),
        ("{each: RACE}", "{each: RACE, only: [Martian]}", "'RACE//Martian' of table 'visits' is not in 'codes'"),
        ("{each: RACE}", '{each: RACE, only: ["a//b"]}', "cannot be part of a code"),
        ("{each: RACE}", "{each: ICD9}", "'race' and 'diagnosis' become the same codes"),
        ('only: ["No", Up]', "only: [No, Up]", "YAML reads as true or false"),
        ("{each: RACE}", "{values: {No: RACE//Asian}}", "YAML reads as true or false"),
        ('"ICD-9 {}"', '"ICD-9"', "no place for the cell"),
        ("'^([^.]+)[.]'", "'^([^.'", "is no pattern"),
        ("'^([^.]+)[.]'", "'^[^.]+'", "has no group"),
    ],
)  # fmt: skip
def test_a_source_with_a_mistake(tmp_path, old, new, says):
    assert old in YAML
    with pytest.raises((SourceValueError, SourceKeyError)) as refused:
        read(tmp_path, yaml=YAML.replace(old, new))
    assert says in refused.value.what
    assert refused.value.fix and "source.yaml" in refused.value.where
    assert not (tmp_path / "timeline").exists()


def test_times_of_another_table_cannot_be_set_beside_an_order(tmp_path):
    second = """  labs:
    files: [labs.csv]
    columns: {id: {subject: true}, day: {time: day}, days: {code: DAYS}}
codes:
"""
    with pytest.raises(SourceValueError, match="beside each other"):
        read(tmp_path, yaml=YAML.replace("codes:\n", second))


def test_a_later_fact_and_a_known_time_contradict_each_other(tmp_path):
    yaml = YAML.replace("{time: order}", "{time: day}").replace("    first_row: VISIT//FIRST\n", "")
    with pytest.raises(SourceValueError, match="says when its rows were known"):
        read(tmp_path, yaml=yaml.replace("days: {code: DAYS}", "days: {known_time: day}"))


def test_a_later_fact_needs_a_row_with_a_time(tmp_path):
    yaml = YAML.replace("visit: {time: order}", "visit: {ignore: x}").replace(
        "    first_row: VISIT//FIRST\n", ""
    )
    with pytest.raises(SourceValueError, match="a row that has no time"):
        read(tmp_path, yaml=yaml)
