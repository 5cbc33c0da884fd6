"""What only synthesis promises: nobody is copied, everything is marked, and more patients begin with the fewer."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from salus.errors import ProposalBlocked
from salus.programme.usecase_folder import UseCaseFolder
from salus.timeline.store import read_timeline
from salus.usecases.contract import Budget, Order, Proposal, UseCaseKind
from salus.usecases.copies import count_copies
from salus.usecases.kinds import open_usecase
from tests.ward_usecase import NOW, PROTOCOL, copy_of, write_words

PLENTY = Budget(seconds=600)
FRAME = ("WARD//ENTRY", "MEDS_BIRTH", "FOLLOW_UP//END", "MEDS_DEATH")


@pytest.fixture(scope="module")
def usecase(ward_usecase: UseCaseFolder) -> UseCaseKind:
    return open_usecase(ward_usecase, now=NOW)


@pytest.fixture(scope="module")
def proposal(usecase: UseCaseKind) -> Proposal:
    return usecase.propose(60, seed=3, budget=PLENTY)


def with_rows(proposal: Proposal, rows: pl.DataFrame) -> Proposal:
    """The same proposal, with somebody's rows smuggled in as candidate 61."""
    smuggled = rows.with_columns(candidate=pl.lit(61, dtype=pl.Int64), subject_id=pl.lit(61, dtype=pl.Int64))
    return replace(proposal, rows=pl.concat([proposal.rows, smuggled.select(proposal.rows.columns)]), made=61)


def long_record(place: UseCaseFolder, split: str) -> pl.DataFrame:
    """The longest record of a split."""
    events = read_timeline(place.timeline, split)
    longest = events.group_by("subject_id").len().sort("len", "subject_id")["subject_id"][-1]
    return events.filter(pl.col("subject_id") == longest)


# --- nobody is copied ---------------------------------------------------------------------------------------------


def test_drawn_patients_are_nobody(usecase, proposal):
    assert usecase.check(proposal) == ()


def test_a_copy_of_somebody_trained_on_blocks_and_only_the_count_is_said(usecase, proposal, ward_usecase):
    planted = with_rows(proposal, long_record(ward_usecase, "train"))
    (concern,) = usecase.check(planted)
    assert (concern.id, concern.sentence.text) == (
        "copies",
        "fewer than 5 drawn patients copy the dated record of one trained on",
    )
    with pytest.raises(ProposalBlocked, match="copy the dated record"):
        usecase.write(planted, Order(overrides={"copies": "nobody will notice"}))


def test_the_order_of_a_patient_s_rows_hides_no_copy(usecase, proposal, ward_usecase):
    shuffled = long_record(ward_usecase, "train").sample(fraction=1.0, shuffle=True, seed=9)
    assert [one.id for one in usecase.check(with_rows(proposal, shuffled))] == ["copies"]


def test_somebody_the_model_never_saw_is_met_by_chance_only(usecase, proposal, ward_usecase):
    """A held-out patient among the drawn ones is an accident, and says nothing about the model."""
    assert usecase.check(with_rows(proposal, long_record(ward_usecase, "held_out"))) == ()


def record(*values: float, subject: int = 1, first: str = "2000-01-01") -> pl.DataFrame:
    """A patient with a birth, an entry, and potassium on consecutive days."""
    day = datetime.fromisoformat(first)
    rows = [(subject, datetime(1950, 1, 1), "MEDS_BIRTH", None), (subject, day, "WARD//ENTRY", None)]
    rows += [(subject, day.replace(day=number + 1), "K", value) for number, value in enumerate(values)]
    return pl.DataFrame(
        rows,
        schema={
            "subject_id": pl.Int64,
            "time": pl.Datetime("us"),
            "code": pl.String,
            "numeric_value": pl.Float32,
        },
        orient="row",
    )


@pytest.mark.parametrize(
    ("drawn", "copies"),
    [
        (record(4.0, 4.1, 4.2), 1),
        (record(4.0, 4.1, 4.3), 0),  # one value differs
        (record(4.0, 4.1), 0),  # one fact fewer
        (record(4.0, 4.1, 4.2, first="2000-01-02"), 0),  # a day later
        (pl.concat([record(4.0, 4.1, 4.2), record(4.0, 4.1, 4.2, subject=2)]), 2),
    ],
)
def test_a_copy_is_every_time_code_and_value(drawn, copies):
    assert count_copies(drawn, record(4.0, 4.1, 4.2, subject=77), frame=FRAME) == copies


def test_a_record_of_two_facts_is_common_by_chance():
    assert count_copies(record(4.0, 4.1), record(4.0, 4.1, subject=77), frame=FRAME) == 0


# --- privacy is asked for -----------------------------------------------------------------------------------------


def test_a_protocol_that_asks_nothing_about_privacy_releases_nobody(ward_usecase, tmp_path, proposal):
    place = copy_of(ward_usecase, tmp_path / "ward")
    start, end = PROTOCOL.index("  - id: privacy"), PROTOCOL.index("  - id: discrimination")
    write_words(place, protocol=PROTOCOL[:start] + PROTOCOL[end:])
    (concern,) = open_usecase(place, now=NOW).check(proposal)
    assert (concern.id, concern.sentence.text) == ("privacy", "The protocol asks nothing about privacy")


def test_privacy_not_shown_blocks_by_its_own_name(ward_usecase, tmp_path, proposal):
    """An upper bound of at most 0.10 cannot be met: no attack is so bad."""
    place = copy_of(ward_usecase, tmp_path / "ward")
    write_words(place, protocol=PROTOCOL.replace("<= 0.99", "<= 0.10"))
    concerns = {one.id: one.sentence.text for one in open_usecase(place, now=NOW).check(proposal)}
    assert set(concerns) == {"gate", "privacy"}
    assert "privacy-likelihood: FAIL" in concerns["privacy"]


def test_few_patients_warn(usecase):
    few = usecase.propose(49, seed=3, budget=PLENTY)
    (concern,) = usecase.check(few)
    assert (concern.id, concern.sentence.text) == ("few", "49 patients are too few to stand for all")


# --- more begins with fewer ---------------------------------------------------------------------------------------


def test_more_patients_of_the_same_seed_begin_with_the_same_patients(usecase, proposal):
    """Also across the pieces of 32 in which they are drawn."""
    for n in (1, 31, 32, 33):
        fewer = usecase.propose(n, seed=3, budget=PLENTY)
        assert fewer.rows.equals(proposal.rows.filter(pl.col("candidate") <= n))
        assert fewer.rows["candidate"].n_unique() == n


def test_the_next_piece_is_not_the_first_once_more(proposal):
    """Patients 33 to 60 come from a seed of their own: they are not patients 1 to 28 again."""
    first, second = (
        proposal.rows.filter(pl.col("candidate").is_between(low, low + 27)).drop("candidate", "subject_id")
        for low in (1, 33)
    )
    assert not first.equals(second)


# --- back to the record -------------------------------------------------------------------------------------------


def test_every_resource_is_marked_as_test_data_and_as_synthetic(usecase, proposal):
    sent = json.loads(usecase.write(proposal, Order()).transaction.as_bytes())
    for entry in sent["entry"]:
        meta = entry["resource"]["meta"]
        assert [one["code"] for one in meta["security"]] == ["HTEST"], entry["resource"]["resourceType"]
        assert [one["code"] for one in meta["tag"]] == ["SYNTHETIC"]
    names = [one["resource"]["name"][0]["text"] for one in sent["entry"] if "name" in one["resource"]]
    assert names[:2] == ["SYNTHETIC 000001", "SYNTHETIC 000002"]


def test_the_books_of_writing_balance(usecase, proposal):
    """Rows drawn = rows in a Patient + rows that became a resource + rows left out, counted by code."""
    written = usecase.write(proposal, Order())
    kinds = Counter(entry["resource"]["resourceType"] for entry in written.transaction.bundle["entry"])
    rows = Counter(proposal.rows["code"])
    of_the_patient = sum(rows[code] for code in ("SEX//F", "SEX//M", "MEDS_BIRTH", "MEDS_DEATH"))
    assert written.left_out == {
        "FOLLOW_UP//END": rows["FOLLOW_UP//END"],
        "WARD//ENTRY": 60,
    }
    assert kinds["Patient"] == 60
    assert (
        of_the_patient + kinds["Observation"] + kinds["Condition"] + sum(written.left_out.values())
        == proposal.rows.height
    )
