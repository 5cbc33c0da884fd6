"""Drawing many patients and throwing away those who do not meet the conditions referees drawing under conditions."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.errors import ConditionUnmet
from salus.trajectory.conditioning import draw_statics, effective_size, systematic
from salus.trajectory.conditions import read_conditions
from salus.trajectory.draws import InTurn
from salus.trajectory.encoding import draw_values
from salus.trajectory.sampling import Sampler
from salus.trajectory.situation import Drawn
from tests.small_model import varied

PATIENTS, REJECTED_FROM = 4_000, 120_000
VOCABULARY = varied().vocabulary
STATIC = [entry.code for entry in VOCABULARY.entries if entry.static]


def sampler(seed: int) -> tuple[Sampler, torch.Generator]:
    draws = InTurn(seed)
    return Sampler(varied().network, VOCABULARY, draws=draws), draws.generator


def table(drawn: Drawn, patients: int) -> dict[str, np.ndarray]:
    """A column a static code: the number drawn, or 1; NaN where the code was not drawn."""
    columns = {code: np.full(patients, np.nan) for code in STATIC}
    values = draw_values(drawn.level, drawn.inside, VOCABULARY)
    for row, level, value in zip(drawn.row, drawn.level, values, strict=True):
        entry = VOCABULARY.entries[VOCABULARY.level_code[level]]
        columns[entry.code][row] = value if entry.bins else 1
    return columns


@cache
def everybody() -> dict[str, np.ndarray]:
    with torch.inference_mode():
        return table(sampler(1)[0].statics(REJECTED_FROM), REJECTED_FROM)


def said(of: dict[str, np.ndarray], code: str) -> np.ndarray:
    return ~np.isnan(of[code])


def within(of: dict[str, np.ndarray], code: str, low: float, high: float) -> np.ndarray:
    return (of[code] >= low) & (of[code] <= high)


CASES = {
    ("allergy=yes",): lambda of: said(of, "ALLERGY"),
    ("sex=F",): lambda of: said(of, "SEX//F"),
    ("age=60..69",): lambda of: within(of, "SALUS//AGE", 60, 69),
    ("height=165..170", "sex=M"): lambda of: within(of, "HEIGHT", 165, 170) & said(of, "SEX//M"),
    ("origin=There", "age=..55", "allergy=yes"): lambda of: (
        said(of, "ORIGIN//There") & (of["SALUS//AGE"] <= 55) & said(of, "ALLERGY")
    ),
    ("ORIGIN//There=no", "height=no"): lambda of: ~said(of, "ORIGIN//There") & ~said(of, "HEIGHT"),
    ("origin=Here,Elsewhere", "allergy=no"): lambda of: (
        (said(of, "ORIGIN//Here") | said(of, "ORIGIN//Elsewhere")) & ~said(of, "ALLERGY")
    ),
}


@pytest.mark.parametrize("written", list(CASES), ids=", ".join)
def test_conditioned_patients_are_those_whom_rejection_would_keep(written):
    """Every conditioned patient meets the conditions; all other facts are distributed as among the kept ones."""
    conditions = read_conditions(written, VOCABULARY, where="--given")
    source, generator = sampler(2)
    with torch.inference_mode():
        drawn, resampling = draw_statics(source, conditions, patients=PATIENTS, generator=generator)
    found, meets = table(drawn, PATIENTS), CASES[written]
    assert meets(found).all()
    kept = {code: column[meets(everybody())] for code, column in everybody().items()}
    number = len(kept["SALUS//AGE"])
    assert resampling.chance == pytest.approx(number / REJECTED_FROM, rel=5 / np.sqrt(number) + 0.02)
    worth = 1 / (1 / number + 1 / min(resampling.effective, PATIENTS))
    for code in STATIC:
        share = np.mean(~np.isnan(kept[code]))
        error = 4.5 * np.sqrt(max(share * (1 - share), 1 / number) / worth)
        assert np.mean(~np.isnan(found[code])) == pytest.approx(share, abs=error), code
        if VOCABULARY.entries[VOCABULARY.index()[code]].bins and share:
            spread = max(np.nanstd(kept[code]), 1e-6)
            error = 4.5 * spread / np.sqrt(worth * share)
            assert np.nanmean(found[code]) == pytest.approx(np.nanmean(kept[code]), abs=error), code


def test_conditions_that_nobody_meets_are_refused():
    """Everybody has an age: nobody is without."""
    conditions = read_conditions(["age=no"], VOCABULARY, where="--given")
    source, generator = sampler(3)
    with torch.inference_mode(), pytest.raises(ConditionUnmet) as refused:
        draw_statics(source, conditions, patients=5, generator=generator)
    assert refused.value.code == "SAL-311"


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=1, max_size=30).filter(any),
    count=st.integers(1, 40),
    seed=st.integers(0, 10_000),
)
def test_systematic_choice_takes_each_as_often_as_its_weight_says_but_for_rounding(weights, count, seed):
    column = torch.tensor([weights], dtype=torch.float64)
    chosen = systematic(column, count, torch.Generator().manual_seed(seed))
    taken = np.bincount(chosen[0].numpy(), minlength=len(weights))
    expected = count * np.asarray(weights) / sum(weights)
    assert taken.sum() == count
    assert (np.abs(taken - expected) <= 1 + 1e-6).all()
    assert not taken[np.asarray(weights) == 0].any()


def test_equal_weights_are_worth_their_number_and_one_weight_alone_is_worth_one():
    assert effective_size(torch.ones(8)) == pytest.approx(8)
    assert effective_size(torch.tensor([0.0, 3.0, 0.0])) == pytest.approx(1)
