"""Is a synthetic patient a real one again? Copies word for word, near copies, stretches that stand in a real record.

Exact copies are counted. For near copies and long stretches the yardstick are held-out patients: how near they are to
their nearest member, how long the longest stretch is that they share with one. The mark is set where one in a thousand
of them lies, and whoever lies there or beyond is counted, in both groups: with ties, more than one in a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import hypergeom

from salus.evidence.discrimination import Floats
from salus.evidence.fingerprints import Fingerprints
from salus.evidence.guesses import LEAST, Guesses, Question
from salus.evidence.withheld import told

BEYOND = (0.001, 0.01)
"""Shares of the control that lie beyond the mark; the second where the control is too small for the first."""
TOO_FEW = f"fewer than {round(1 / BEYOND[-1])} patients never learnt from: no mark can be set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """Synthetic patients at or beyond the mark set by the control: larger is closer to a member.

    ``chance``: that as many or more lay there, were synthetic and control patients alike.
    """

    mark: float
    share: float
    found: int
    chance: float


def beyond(synthetic: Floats, control: Floats) -> Beyond | None:
    """Set the mark from ``control`` and count; None where the control is too small for any."""
    possible = [share for share in BEYOND if len(control) * share >= 1]
    if not possible or not len(synthetic):
        return None
    share = possible[0]
    allowed = int(len(control) * share)
    mark = float(np.sort(control)[-allowed])
    found, above = int((synthetic >= mark).sum()), int((control >= mark).sum())
    pooled = len(control) + len(synthetic)
    # Among the (found + above) furthest of all patients together: how few of the control, drawn by lot.
    chance = 1.0 if not found else float(hypergeom.cdf(above, pooled, len(control), found + above))
    return Beyond(mark=mark, share=share, found=found, chance=chance)


def copied(synthetic: Fingerprints, members: Fingerprints, others: Fingerprints) -> Question:
    """Which synthetic records are a member's, word for word; held-out records that are, and copies of held-out ones."""
    sizes = (len(synthetic.subject), len(others.subject))
    return Question(
        metric="privacy.copies",
        method="records that are a member's word for word: codes, values, waits; control: those of patients never"
        " learnt from; baseline: synthetic records that are one of theirs",
        attack=Guesses.each(synthetic.within(members)),
        control=Guesses.each(others.within(members)),
        baseline=Guesses.each(synthetic.within(others)),
        population=f"{sizes[0]:,} synthetic v {told(len(members.subject))} members",
        against=f"{told(sizes[1])} never learnt from v {told(len(members.subject))} members",
        patients=sizes,
    )


def near_copies(synthetic: Floats, control: Floats, *, members: int) -> Question:
    """Synthetic patients nearer to a member than the control; distances from :mod:`salus.evidence.row_distances`."""
    what = "records whose row lies as near to a member's as the nearest {share} of patients never learnt from"
    return _beyond_question(
        "privacy.near_copies", what, synthetic=-synthetic, control=-control, members=members
    )


def long_runs(synthetic: Floats, control: Floats, *, members: int) -> Question:
    """Synthetic patients who share a longer stretch with a member than the control does."""
    what = "records that share as long a stretch of successive facts with a member as the longest {share} of patients"
    return _beyond_question(
        "privacy.runs", f"{what} never learnt from", synthetic=synthetic, control=control, members=members
    )


def _beyond_question(metric: str, what: str, *, synthetic: Floats, control: Floats, members: int) -> Question:
    found = beyond(synthetic, control)
    share = BEYOND[-1] if found is None else found.share
    mark = np.inf if found is None else found.mark
    named = f"1 in {round(1 / share):,}"
    asked = Question(
        metric=metric,
        method=f"{what.format(share=named)}; control: the same of those patients; baseline: as many as there,"
        " what records like theirs would give",
        attack=Guesses.each(synthetic >= mark),
        control=Guesses.each(control >= mark),
        baseline=_expected(float((control >= mark).mean()) if found else share, len(synthetic)),
        population=f"{len(synthetic):,} synthetic v {told(members)} members",
        against=f"{told(len(control))} never learnt from v {told(members)} members",
        patients=(len(synthetic), len(control)),
    )
    if found is None:
        few = f"fewer than {LEAST} synthetic patients" if not len(synthetic) else TOO_FEW
        return replace(asked, reason=few)
    said = f"{found.found:,} at the mark or beyond; chance of as many, were they like the control: {found.chance:.2g}"
    return replace(asked, remarks=(said,))


def _expected(share: float, size: int) -> Guesses:
    right = np.zeros(size)
    right[: round(share * size)] = 1.0
    return Guesses.each(right)


def shares_at(values: Floats, cuts: Sequence[float]) -> list[float]:
    """Share of values at or above each cut: what a picture of a distribution is drawn from."""
    ordered = np.sort(values)
    return [float(1 - np.searchsorted(ordered, cut, side="left") / max(len(ordered), 1)) for cut in cuts]
