"""Does the synthetic set join what was apart, or tell what was secret? Linkability and attribute inference.

Linkability: somebody holds two lists about the same people, each with other fields, and looks up the nearest synthetic
patients of a person by each; where the two look-ups meet, the lists are linked. Inference: somebody knows some fields
of a person and takes the secret one from the nearest synthetic patient (Giomi et al. 2023, arXiv:2211.10459).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from salus.evidence.discrimination import Floats
from salus.evidence.guesses import Guesses, Question
from salus.evidence.patient_rows import PatientRows
from salus.evidence.row_distances import Placed, apart_by_columns, parts_of, place
from salus.evidence.withheld import told

NEIGHBOURS = 5
NEAR = 0.05
"""A number is guessed where the guess is within this share of the truth."""
CANDIDATES = 200


def linkability(
    synthetic: PatientRows,
    members: PatientRows,
    others: PatientRows,
    *,
    known: Sequence[str],
    seed: int,
) -> Question:
    """Whether ``known`` fields and all the others lead to the same synthetic patient."""
    first = members.columns_of(known)
    second = np.setdiff1d(np.arange(members.table.shape[1]), first)
    there = place(synthetic, synthetic)
    attack, control = (_meets(place(people, synthetic), there, first, second) for people in (members, others))
    rng = np.random.default_rng(seed)
    by_luck = rng.random(len(members)) < _luck(len(synthetic))
    fields = len(set(members.fields))
    return Question(
        metric="privacy.linkability",
        method=f"two lists of {len(set(known))} and {fields - len(set(known))} fields linked through the"
        f" {NEIGHBOURS} nearest synthetic patients by each (arXiv:2211.10459)"
        "; control: patients never learnt from; baseline: two look-ups by lot",
        attack=Guesses.each(attack),
        control=Guesses.each(control),
        baseline=Guesses.each(by_luck),
        population=f"{len(members):,} guesses about {told(len(members))} members",
        against=f"{len(others):,} guesses about {told(len(others))} never learnt from",
        patients=(len(members), len(others)),
    )


def inference(
    synthetic: PatientRows,
    members: PatientRows,
    others: PatientRows,
    *,
    known: Sequence[str],
    reference: PatientRows,
) -> tuple[Question, ...]:
    """Each field as the secret in turn, then all of them together; those ``known`` are no secrets.

    Where nothing is named, everything but the secret is known. The baseline is the one answer that would have been
    right most often for ``reference``: patients who are neither members nor others.
    """
    sides = [_guessed(people, synthetic, known=known) for people in (members, others)]
    asked, pooled = [], []
    for secret in _secrets(members, known):
        column = int(members.columns_of([secret])[0])
        best = _best_constant(reference.table[:, column], word=bool(members.words[column]))
        blind = _right(
            np.full(len(members), best), members.table[:, column], word=bool(members.words[column])
        )
        had = np.isfinite(members.table[:, column])
        three = (sides[0][secret], sides[1][secret], Guesses(right=blind[had], owner=np.flatnonzero(had)))
        pooled.append(three)
        asked.append(_question(f"privacy.inference_field; secret {secret}", three, members, others))
    if not asked:
        return ()
    whole = tuple(_pooled([three[side] for three in pooled]) for side in range(3))
    return (_question("privacy.inference", (whole[0], whole[1], whole[2]), members, others), *asked)


def _question(
    name: str, three: tuple[Guesses, Guesses, Guesses], members: PatientRows, others: PatientRows
) -> Question:
    metric, _, secret = name.partition("; ")
    about = f"; {secret}" if secret else ""
    attack, control, baseline = three
    return Question(
        metric=metric,
        method="a secret field taken from the synthetic patient nearest by the known fields (arXiv:2211.10459); a"
        f" number is guessed within {NEAR:.0%}; control: patients never learnt from; baseline: the best single answer",
        attack=attack,
        control=control,
        baseline=baseline,
        population=f"{len(attack):,} guesses about {told(len(members))} members{about}",
        against=f"{len(control):,} guesses about {told(len(others))} never learnt from{about}",
        patients=(len(members), len(others)),
    )


def _guessed(people: PatientRows, synthetic: PatientRows, *, known: Sequence[str]) -> dict[str, Guesses]:
    """What the nearest synthetic patient says of each secret, right or wrong; people without the fact are left out."""
    here, there = place(people, synthetic), place(synthetic, synthetic)
    secrets = _secrets(people, known)
    told_of = {secret: np.full(len(people), np.nan) for secret in secrets}
    basis = people.columns_of(known or people.fields)
    for part in parts_of(len(people)):
        apart = apart_by_columns(here, there, basis, part=part)
        for secret in secrets:
            own = people.columns_of([secret])
            less = apart if known else apart - apart_by_columns(here, there, own, part=part)
            told_of[secret][part] = synthetic.table[less.argmin(axis=1), own[0]]
    found = {}
    for secret, answer in told_of.items():
        column = int(people.columns_of([secret])[0])
        truth, word = people.table[:, column], bool(people.words[column])
        had = np.isfinite(truth)
        found[secret] = Guesses(right=_right(answer, truth, word=word)[had], owner=np.flatnonzero(had))
    return found


def _secrets(people: PatientRows, known: Sequence[str]) -> list[str]:
    return [field for field in dict.fromkeys(people.fields) if field not in set(known)]


def _right(answer: Floats, truth: Floats, *, word: bool) -> Floats:
    near = (answer == truth) if word else (np.abs(answer - truth) <= NEAR * np.abs(truth))
    return np.asarray(near, dtype=np.float64)


def _best_constant(values: Floats, *, word: bool) -> float:
    """The answer that would be right most often."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan")
    tried = np.unique(known)
    if len(tried) > CANDIDATES:
        tried = np.unique(np.quantile(known, np.linspace(0, 1, CANDIDATES), method="nearest"))
    hits = [_right(np.full(len(known), each), known, word=word).mean() for each in tried]
    return float(tried[int(np.argmax(hits))])


def _meets(
    here: Placed, there: Placed, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.bool_]:
    met = np.zeros(len(here), dtype=bool)
    for part in parts_of(len(here)):
        one, other = (
            _nearest(apart_by_columns(here, there, columns, part=part)) for columns in (first, second)
        )
        met[part] = (one[:, :, None] == other[:, None, :]).any(axis=(1, 2))
    return met


def _nearest(apart: NDArray[np.float32]) -> NDArray[np.int64]:
    count = min(NEIGHBOURS, apart.shape[1])
    if count == apart.shape[1]:
        return np.tile(np.arange(count), (len(apart), 1))
    return np.argpartition(apart, count - 1, axis=1)[:, :count]


def _luck(size: int) -> float:
    """Chance that two look-ups by lot meet."""
    apart = np.arange(min(NEIGHBOURS, size))
    return float(1 - np.prod(np.maximum(size - NEIGHBOURS - apart, 0) / np.maximum(size - apart, 1)))


def _pooled(parts: Sequence[Guesses]) -> Guesses:
    return Guesses(
        right=np.concatenate([one.right for one in parts]), owner=np.concatenate([one.owner for one in parts])
    )
