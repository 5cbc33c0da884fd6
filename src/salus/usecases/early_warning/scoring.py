"""How good the forecasts are: on held-out patients, beside the simple rule, group by group."""

from __future__ import annotations

from salus.usecases.citing import fits
from salus.usecases.contract import Score, Scored
from salus.usecases.opened import Opened
from salus.usecases.slices import slices

BESIDE = {"forecast.auroc": "forecast.baseline_auroc"}


def score_risks(opened: Opened) -> Score:
    """Every finding about forecasts, those of all patients first."""
    found = [] if opened.bundle is None else [one for one in opened.bundle.findings if one.kind == "forecast"]
    entries = []
    for one in found:
        if "; " in one.population or one.metric in BESIDE.values():
            continue
        other = BESIDE.get(one.metric)
        rule = next(
            (
                each
                for each in found
                if other and fits(each, other, population=one.population, comparison=None)
            ),
            None,
        )
        entries.append(Scored(finding=one, baseline=rule))
    return Score(entries=tuple(entries), slices=slices(opened, "forecast.auroc", found))
