"""Synthesis answers the eight questions of the contract."""

from __future__ import annotations

from salus.outlet.fhir_capability import read_capability
from salus.outlet.fhir_synthetic import synthetic_drafts
from salus.outlet.fhir_transaction import transaction
from salus.usecases.concerns import check_writable
from salus.usecases.contract import (
    Baseline,
    Budget,
    CardOfUse,
    Concern,
    Explanation,
    Missing,
    Need,
    Needs,
    Order,
    Proposal,
    Score,
    UseCaseKind,
    Weight,
    Written,
)
from salus.usecases.opened import Kind, Opened
from salus.usecases.sending import origin_of
from salus.usecases.synthesis.checking import check_release
from salus.usecases.synthesis.drawing import draw
from salus.usecases.synthesis.explaining import explain_release, floor
from salus.usecases.synthesis.scoring import score_release


class Synthesis:
    """Synthetic patients of a use case's model."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    @property
    def card(self) -> CardOfUse:
        """What it is for, for whom and not for what."""
        return self._opened.card

    def needs(self) -> Needs:
        """A model, and in its words every code that the use case requires."""
        model = self._opened.model
        if model is None:
            why = (
                "there is none, or a file of it is missing, cut short or changed: train it with `salus train`"
            )
            return Needs(given=(), missing=(Missing(name="model", meaning="a trained model", reason=why),))
        known = {str(row["code"]) for row in model.codes}
        given = [Need(name="model", meaning=f"trained on {model.lineage.data_set}")]
        missing = []
        for code in self._opened.usecase.inputs.required:
            if code in known:
                given.append(Need(name=code, meaning=self._opened.describe(code)))
            else:
                missing.append(Missing(name=code, meaning=code, reason="the model has never seen it"))
        return Needs(given=tuple(given), missing=tuple(missing))

    def baseline(self) -> Baseline:
        """Columns shuffled: what a release of nothing but the margins would give."""
        return floor(self._opened)

    def propose(self, n: int, *, seed: int, budget: Budget) -> Proposal:
        """Draw ``n`` synthetic patients."""
        return draw(self._opened, n, seed=seed, budget=budget, missing=self.needs().missing)

    def check(self, proposal: Proposal) -> tuple[Concern, ...]:
        """Gate, privacy, copies of real patients, too few."""
        return check_release(self._opened, proposal)

    def explain(self, proposal: Proposal) -> Explanation:
        """Where every number comes from; evidence is shown even while the release is blocked."""
        blocks = (one.sentence for one in self.check(proposal) if one.weight is Weight.BLOCK)
        return Explanation(
            baseline=self.baseline(),
            withheld=tuple(blocks),
            sentences=tuple(explain_release(self._opened, proposal)),
        )

    def write(self, proposal: Proposal, order: Order) -> Written:
        """Patients as FHIR, each marked as test data and as synthetic."""
        remarks = check_writable(self.check(proposal), order.overrides, where=self._opened.folder.name)
        found = synthetic_drafts(
            proposal.rows,
            self._opened.codes,
            grain=self._opened.settings.grain,
            origin=proposal.digest,
        )
        capability = read_capability(order.server)
        origin = origin_of(self._opened, proposal, order, remarks=remarks, synthetic=True)
        return Written(
            transaction=transaction(found.drafts, origin, capability=capability), left_out=found.left_out
        )

    def score(self) -> Score:
        """Likeness, use and privacy, group by group."""
        return score_release(self._opened)


def open_synthesis(opened: Opened) -> UseCaseKind:
    """Bind the kind to a folder."""
    return Synthesis(opened)


KIND = Kind(
    name="synthesis",
    meaning="patients nobody is, for those who may not see the real ones",
    seconds=20,
    megabytes=800,
    open=open_synthesis,
)
