"""Generators side by side: who gets which patients, what the judges see, which run stands for three."""

from __future__ import annotations

import polars as pl
import pytest

from benchmarks.blocks import block
from benchmarks.peers import numbers
from benchmarks.peers.__main__ import PAGE
from benchmarks.peers.columns import CONTEXT, EVENTS, FLAT, PATIENT, SEQUENCES
from benchmarks.peers.contestants import CONTESTANTS
from benchmarks.peers.judges.features import (
    as_cases,
    dictionary,
    last_encounters,
    later_encounters,
    whole_patients,
    with_history,
)
from benchmarks.peers.reference import shuffled_columns
from benchmarks.peers.results import Run, median_run, results_of, write_result
from benchmarks.peers.tables import flat, icd9_root, read_encounters, sequences, shuffled
from benchmarks.rows import read_rows

FIXED = dict.fromkeys(FLAT, "0")


def encounter(number: int, patient: str, **cells: str) -> dict[str, str]:
    return {**FIXED, "encounter_id": str(number), "patient_nbr": patient, **cells}


@pytest.fixture
def published(tmp_path):
    """Six encounters of four patients, not in order; patient C has three, of growing age band."""
    rows = [
        encounter(9, "A", diag_1="250.83", race="?"),
        encounter(100, "B", diag_1="V57"),
        encounter(20, "B", diag_1="E849.7"),
        encounter(31, "C", age="[60-70)", readmitted="<30"),
        encounter(30, "C", age="[50-60)", readmitted=">30"),
        encounter(32, "C", age="[60-70)", readmitted="NO"),
        encounter(50, "D"),
    ]
    path = tmp_path / "diabetic_data.csv.gz"
    pl.DataFrame(rows).write_csv(path, compression="gzip")
    return read_encounters(path)


def test_encounters_are_in_the_order_of_their_numbers_not_of_their_letters(published):
    """As text, 100 stands before 20."""
    assert published["encounter_id"].to_list() == ["9", "20", "30", "31", "32", "50", "100"]


@pytest.mark.parametrize(
    ("code", "root"), [("250.83", "250"), ("V57", "V57"), ("E849.7", "E849"), ("?", "?")]
)
def test_a_diagnosis_is_cut_at_its_dot(code, root):
    assert pl.DataFrame({"diag_1": [code]}).select(icd9_root("diag_1")).item() == root


def test_flat_holds_the_first_encounter_of_each_patient_once(published):
    """Of B number 20 and not 100; two patients train, two are held out, nobody is left."""
    parts = flat(published, 1, patients=2)
    together = pl.concat([parts.train, parts.holdout])
    assert sorted(together["diag_1"].to_list()) == ["0", "0", "250", "E849"]
    assert (parts.train.height, parts.holdout.height, parts.third.height) == (2, 2, 0)
    assert tuple(parts.train.columns) == FLAT


def test_whoever_neither_trains_nor_is_held_out_is_third(published):
    parts = flat(published, 1, patients=1)
    assert (parts.train.height, parts.holdout.height, parts.third.height) == (1, 1, 2)


def test_sequences_are_patients_with_two_encounters_in_order_with_their_first_age_band(published):
    parts = sequences(published, 1)
    both = pl.concat([parts.train, parts.holdout])
    assert sorted(part[PATIENT].n_unique() for part in (parts.train, parts.holdout)) == [1, 1]
    longest = both.filter(pl.col("age") == "[50-60)")
    assert longest["readmitted"].to_list() == [">30", "<30", "NO"]
    assert tuple(both.columns) == SEQUENCES


def test_the_order_of_patients_is_that_of_their_digests_and_of_no_library():
    """sha256 of "3:7", "3:8" and "3:9" begins with cde4, 4f39 and 8097, so 8 comes first and 7 last."""
    assert shuffled(["7", "8", "9"], 3) == ["8", "9", "7"]
    assert shuffled(["9", "7", "8"], 3) == ["8", "9", "7"]


def sequence(*readmitted: str, drugs: tuple[float, ...]) -> pl.DataFrame:
    rows = [
        {PATIENT: 1, **FIXED, "readmitted": back, "num_medications": number}
        for back, number in zip(readmitted, drugs, strict=True)
    ]
    numbers_of = [name for name in EVENTS if name.startswith(("num", "time"))]
    return pl.DataFrame(rows).with_columns(pl.col(name).cast(pl.Float64) for name in numbers_of)


def test_history_is_what_had_happened_before_and_nothing_of_the_encounter_itself():
    """Drugs 10, 20, 60: before the third, the last is 20 and the mean (10 + 20) / 2 = 15."""
    found = with_history(sequence("<30", ">30", "NO", drugs=(10, 20, 60))).row(2, named=True)
    assert (found["encounters_before"], found["before_num_medications"]) == (2, 20)
    assert found["mean_before_num_medications"] == 15
    assert (found["readmissions_before_soon"], found["readmissions_before_late"]) == (1, 1)
    assert found["before_readmitted"] == ">30"


def test_the_first_encounter_has_no_past():
    found = with_history(sequence("<30", "NO", drugs=(10, 20))).row(0, named=True)
    assert (found["encounters_before"], found["before_readmitted"]) == (0, None)
    assert found["mean_before_num_medications"] is None


def test_the_last_encounter_is_asked_of_once_a_patient():
    found = last_encounters(sequence("<30", ">30", "NO", drugs=(10, 20, 60)))
    assert found["readmitted"].to_list() == ["NO"]


def test_a_later_encounter_is_seen_from_before_it():
    """Of the encounter itself only the answer is there: the drugs, and not how long it lasted."""
    found = later_encounters(sequence("<30", "NO", drugs=(10, 20)), "num_medications")
    assert found["num_medications"].to_list() == [20]
    assert "time_in_hospital" not in found.columns
    assert found["before_readmitted"].to_list() == ["<30"]


def test_a_whole_patient_is_one_row():
    """Drugs 10, 20, 60: mean 30, spread sqrt((400 + 100 + 900) / 2) = 26.458; three answers about readmission."""
    found = whole_patients(sequence("<30", ">30", "NO", drugs=(10, 20, 60))).row(0, named=True)
    assert (found["encounters"], found["mean_num_medications"]) == (3, 30)
    assert found["spread_num_medications"] == pytest.approx(26.4575, abs=1e-3)
    assert found["different_readmitted"] == 3


def test_one_dictionary_numbers_the_categories_of_all_tables():
    """The value that only the second table has gets a number of its own; a missing one stays missing."""
    one, two = pl.DataFrame({"drug": ["No", "Up"]}), pl.DataFrame({"drug": ["Down", None]})
    codes = dictionary([one, two])
    cases = as_cases(two, pl.lit(pl.Series([1, 0])), codes)
    assert cases.matrix[0, 0] == 0
    assert cases.matrix[1, 0] != cases.matrix[1, 0]
    assert cases.categorical == [0]
    assert as_cases(one, pl.lit(pl.Series([1, 0])), codes).matrix[:, 0].tolist() == [1, 2]


def test_the_floor_keeps_every_column_and_moves_its_cells():
    train = pl.DataFrame({name: [str(row) for row in range(50)] for name in FLAT})
    floor = shuffled_columns(train, "flat", seed=1)
    assert all(sorted(floor[name].to_list()) == sorted(train[name].to_list()) for name in FLAT)
    together = [len(set(row)) for row in floor.iter_rows()]
    assert min(together) > 5


def test_the_floor_keeps_lengths_and_says_the_context_once():
    lengths = [3, 2, 2, 4] * 10
    patients = [number for number, length in enumerate(lengths) for _ in range(length)]
    cells = {name: [f"{name}{row}" for row in range(len(patients))] for name in EVENTS}
    train = pl.DataFrame(
        {PATIENT: patients, **{name: [f"p{p}" for p in patients] for name in CONTEXT}, **cells}
    )
    floor = shuffled_columns(train, "sequences", seed=1)
    assert floor[PATIENT].to_list() == patients
    assert floor.group_by(PATIENT).agg(pl.col("race").n_unique())["race"].to_list() == [1] * 40
    assert floor["race"].to_list() != train["race"].to_list()


def test_the_median_of_three_seeds_stands_for_them():
    runs = [
        {"seed": seed, "judged": {"qa": {"overall": value}}} for seed, value in ((1, 0.9), (2, 0.7), (3, 0.8))
    ]
    assert median_run(runs, "judged.qa.overall") == runs[2]
    assert median_run(runs, "judged.qa.coherence") is None


def test_a_number_nobody_measured_is_a_missed_row_and_the_anchor_stands_beside(tmp_path):
    """mostlyai-engine has 0.967 and we have nothing: our row is there, empty and not met."""
    anchor = {"judged": {"qa": {"overall": 0.967}}, "times": {}, "seed": 1}
    run = Run(contestant="mostlyai-engine", kind="flat", seed=1)
    write_result(run, {"contestant": "mostlyai-engine", "kind": "flat", **anchor}, tmp_path)
    assert len(results_of("mostlyai-engine", "flat", tmp_path)) == 1
    found = {row.name: row for row in numbers.rows(tmp_path)}
    ours = found["clinic flat, salus: mostlyai-qa overall accuracy"]
    assert (ours.value, ours.met, ours.baseline, ours.target) == (None, False, 0.967, 0.975)
    theirs = found["clinic flat, mostlyai-engine: mostlyai-qa overall accuracy"]
    assert (theirs.value, theirs.met, theirs.baseline) == (0.967, False, None)


@pytest.mark.parametrize("who", [who for who in CONTESTANTS if who.package], ids=lambda who: who.name)
def test_a_peer_s_version_is_pinned(who):
    assert who.version and who.version[0].isdigit()


def test_the_tables_of_the_docs_are_those_of_the_results():
    """Otherwise run `make bench-peers PEERS=--only` (which only writes)."""
    assert block(PAGE.read_text(encoding="utf-8"), "peers") == numbers.side_by_side().strip()
    assert read_rows("peers") == numbers.all_rows()
