"""One dial for how large a model is and how it is trained: chosen, or found from the number of patients and facts."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum

from salus.trajectory.training import TrainSettings

FEW_FACTS, MOST_DROPOUT, MOST_EPOCHS = 400_000, 0.4, 12
SMALL_FACTS = 200_000
"""Fewer facts than this would give too few steps if each took as many facts as usual."""
LARGE_FACTS, LARGE_PATIENTS = 50_000_000, 500_000
"""From both on a wider network has enough to learn from."""


class Scale(StrEnum):
    """How much there is to learn from, in orders of magnitude: 1,000, 100,000, 10 million patients; or found."""

    AUTO = "auto"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def scale_for(patients: int, facts: int) -> Scale:
    """The scale that so many patients and facts call for.

    >>> scale_for(12_308, 369_893).value, scale_for(1_000, 30_000).value, scale_for(10_000_000, 10**9).value
    ('medium', 'small', 'large')
    """
    if facts < SMALL_FACTS:
        return Scale.SMALL
    return Scale.LARGE if facts >= LARGE_FACTS and patients >= LARGE_PATIENTS else Scale.MEDIUM


def settings_for(scale: Scale, given: TrainSettings, *, patients: int, facts: int) -> TrainSettings:
    """What ``given`` says (data, seed, minutes, workers), with the size, pace and guards of the scale.

    Why these stands in docs/explanation/model.md; what else was tried, in docs/explanation/experiments.md.
    """
    chosen = scale_for(patients, facts) if scale is Scale.AUTO else scale
    if chosen is Scale.SMALL:
        return replace(given, size=chosen, width=96, share_facts=500, most_epochs=30)
    if chosen is Scale.LARGE:
        return replace(
            given,
            size=chosen,
            width=384,
            depth=3,
            dropout=0.1,
            wait_dropout=0.3,
            rate=1.5e-3,
            share_facts=20_000,
            most_epochs=2,
            checks_per_epoch=20,
            averaging=0.999,
        )
    return _medium(given, facts)


def _medium(given: TrainSettings, facts: int) -> TrainSettings:
    """Few facts are learnt by heart sooner.

    From 400,000 facts on, each doubling takes 0.01 off dropout and 2 off the most passes; shares grow with the facts up
    to 5,000.
    """
    doublings = max(math.log2(max(facts, 1) / FEW_FACTS), 0.0)
    return replace(
        given,
        size=Scale.MEDIUM,
        dropout=round(max(MOST_DROPOUT - 0.01 * doublings, 0.1), 2),
        most_epochs=max(round(MOST_EPOCHS - 2 * doublings), 4),
        share_facts=min(max(2_500, facts // 200), 5_000),
    )
