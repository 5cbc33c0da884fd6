"""What the model can say: which codes are one field, what is read but never drawn, what a rare code counts as."""

from __future__ import annotations

import numpy as np
import polars as pl

from salus.trajectory.bins import Tally, fit_bins
from salus.trajectory.encoding import encode, facts_of
from salus.trajectory.levels import smooth_basis
from salus.trajectory.reading import clock_of, prepare
from salus.trajectory.vocabulary import Clock, CodeEntry, Field, Vocabulary
from tests.small_ward import CODES, SETTINGS, ZERO, ward

DOSES = ("INSULIN//NO", "INSULIN//STEADY", "INSULIN//UP")


def with_codes(each: dict[int, list[str]], *, parents: dict[str, str] | None = None):
    """The ward of 100, and for each subject one more code at each of days 1, 2, 3 …; lessons learnt from them."""
    rows = [
        {"subject_id": subject, "time": ZERO.replace(day=2 + number), "code": code}
        for subject, codes in each.items()
        for number, code in enumerate(codes)
    ]
    more = pl.DataFrame(rows, schema_overrides={"time": pl.Datetime("us")}).with_columns(
        split=pl.lit("train"), known_time=pl.col("time"), source=pl.lit("invented")
    )
    told = [{"code": code, "parent_codes": [parent]} for code, parent in (parents or {}).items()]
    codes = pl.concat([CODES, pl.DataFrame(told)], how="diagonal") if told else CODES
    return prepare(pl.concat([ward(100), more], how="diagonal"), codes, SETTINGS), more, codes


def field_of(vocabulary: Vocabulary, code: str) -> Field:
    place = vocabulary.index()[code]
    return next(one for one in vocabulary.fields if one.first <= place < one.last)


def test_codes_of_which_no_moment_has_two_are_one_choice():
    """Twenty patients with three doses on three days each: one field of three levels that comes again."""
    lessons, _, _ = with_codes({subject: list(DOSES) * 2 for subject in range(1, 21)})
    field = field_of(lessons.vocabulary, "INSULIN//UP")
    codes = [lessons.vocabulary.entries[place].code for place in range(field.first, field.last)]
    assert (field.name, sorted(codes), field.once) == ("INSULIN", sorted(DOSES), False)


def test_a_single_slash_is_part_of_a_codes_name():
    """Specialties such as Family/General belong to the choice like all others."""
    seen = ["WARD//Family/General", "WARD//Surgery", "WARD//Family/General", "WARD//Surgery"]
    lessons, _, _ = with_codes({subject: seen for subject in range(1, 21)})
    field = field_of(lessons.vocabulary, "WARD//Family/General")
    assert (field.name, field.last - field.first) == ("WARD", 2)


def test_codes_that_fall_together_even_once_are_fields_of_their_own():
    _, more, _ = with_codes({subject: list(DOSES) * 2 for subject in range(1, 21)})
    twice = more.filter(pl.col("subject_id") == 3).with_columns(time=pl.lit(ZERO.replace(day=2)))
    events = pl.concat([ward(100), more, twice], how="diagonal")
    vocabulary = prepare(events, CODES, SETTINGS).vocabulary
    assert field_of(vocabulary, "INSULIN//UP").name == "INSULIN//UP"


def test_first_diagnoses_are_questions_of_their_own():
    """Each diagnosis happens once in a life: having one does not exclude another, even if no two fell on one day."""
    lessons, _, _ = with_codes({subject: ["DX//A", "DX//B"] for subject in range(1, 21)})
    assert field_of(lessons.vocabulary, "DX//A").name == "DX//A"
    assert field_of(lessons.vocabulary, "DX//A").once


def test_a_rare_code_of_a_choice_is_read_and_never_drawn():
    """Three patients have a fourth dose: it stays unsaid, the field is not taken for missing."""
    each = {subject: list(DOSES) * 2 for subject in range(1, 21)} | {
        22: ["INSULIN//RARE"],
        24: ["INSULIN//RARE"],
    }
    lessons, _, _ = with_codes(each)
    vocabulary = lessons.vocabulary
    assert "INSULIN//RARE" not in vocabulary.index()
    unsaid = [vocabulary.entries[code].code for code in vocabulary.level_code[vocabulary.unsaid]]
    assert unsaid == ["INSULIN//*"]
    assert (vocabulary.protection.withheld_codes, vocabulary.protection.withheld_facts) == (1, 2)
    mine = lessons.train.of(np.flatnonzero(lessons.train.subject == 22))
    codes = [vocabulary.entries[code].code for code in vocabulary.level_code[mine.level]]
    assert "INSULIN//*" in codes


def test_a_rare_code_counts_as_what_it_is_a_kind_of():
    """Four patients with 250.1, four with 250.2: each is rare, diabetes (250) is not; their facts become 250."""
    each = {subject: ["DX//250.1"] for subject in range(1, 5)} | {
        subject: ["DX//250.2"] for subject in range(5, 9)
    }
    lessons, _, _ = with_codes(each, parents={"DX//250.1": "DX//250", "DX//250.2": "DX//250"})
    known = lessons.vocabulary.index()
    assert "DX//250" in known and "DX//250.1" not in known
    assert (lessons.vocabulary.protection.backed_off_facts, lessons.vocabulary.protection.withheld_facts) == (
        8,
        0,
    )


def test_a_code_unknown_when_a_forecast_is_made_is_read_as_its_parent():
    each = {subject: ["DX//250"] for subject in range(1, 9)}
    lessons, more, codes = with_codes(each, parents={"DX//250.9": "DX//250"})
    other = pl.concat([ward(4), more.head(1).with_columns(code=pl.lit("DX//250.9"))], how="diagonal")
    clock = clock_of(codes, SETTINGS)
    found = encode(facts_of(other, clock, ["MEDS_DEATH"]), lessons.vocabulary, {"DX//250.9": "DX//250"})
    said = {lessons.vocabulary.entries[code].code for code in lessons.vocabulary.level_code[found.level]}
    assert "DX//250" in said


def test_near_values_have_near_vectors_and_far_ones_do_not():
    """Of 40 bins of evenly spread values, each is nearest in the smooth functions to the bins beside it."""
    bins = fit_bins(Tally.of(np.arange(400, dtype=np.float32)), 0, 399, most=40)
    vocabulary = Vocabulary(
        entries=(CodeEntry(code="K", bins=bins.count),),
        fields=(Field(name="K", first=0, last=1),),
        clock=Clock(time_zero="2000-01-01T00:00:00+00:00", grain="day"),
        lows=bins.lows,
        inner=bins.inner,
        wait_edges=np.asarray([0, 1, 2]),
        sure=np.full((2, 2), -1),
        sure_seen=np.zeros((2, 2), dtype=np.int64),
        longest_moment=1,
        longest_record=2,
        latest=1,
        tracked=1,
    )
    table = smooth_basis(vocabulary)[0][0]
    far = np.linalg.norm(table[:, None] - table[None], axis=2) + 1e9 * np.eye(len(table))
    assert (np.abs(far.argmin(axis=1) - np.arange(len(table))) == 1).all()
