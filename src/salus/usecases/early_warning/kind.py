"""Early warning answers the eight questions of the contract."""

from __future__ import annotations

from salus.outlet.fhir_capability import read_capability
from salus.outlet.fhir_transaction import transaction
from salus.usecases.concerns import check_writable
from salus.usecases.contract import (
    Baseline,
    Budget,
    CardOfUse,
    Concern,
    Explanation,
    Needs,
    Order,
    Proposal,
    Score,
    UseCaseKind,
    Written,
)
from salus.usecases.early_warning.checking import check_risks
from salus.usecases.early_warning.explaining import explain_risks
from salus.usecases.early_warning.forecasting import forecast_round
from salus.usecases.early_warning.scoring import score_risks
from salus.usecases.early_warning.simple_rule import simple_rule
from salus.usecases.early_warning.ward_round import WardRound
from salus.usecases.early_warning.writing import risk_drafts
from salus.usecases.locked import check_open
from salus.usecases.opened import Kind, Opened
from salus.usecases.sending import origin_of


class EarlyWarning:
    """Risks at the index moment, for the patients of a record."""

    def __init__(self, opened: Opened) -> None:
        self._opened, self._round = opened, WardRound(opened)

    @property
    def card(self) -> CardOfUse:
        """What it is for, for whom and not for what."""
        return self._opened.card

    def needs(self) -> Needs:
        """The model, the index moment and the required codes, as known by then."""
        return self._round.needs()

    def baseline(self) -> Baseline:
        """Gradient boosting where it was measured, and how often the outcome happens at all."""
        return simple_rule(self._round)

    def propose(self, n: int, *, seed: int, budget: Budget) -> Proposal:
        """Forecast for the first ``n`` patients of the record, in order of their numbers.

        Raises SyntheticLocked (SAL-477).
        """
        check_open(self._opened, "early-warning propose")
        return forecast_round(self._round, n, seed=seed, budget=budget)

    def check(self, proposal: Proposal) -> tuple[Concern, ...]:
        """Gate and state block; records unlike those learnt from warn."""
        return check_risks(self._round, proposal)

    def explain(self, proposal: Proposal) -> Explanation:
        """Each risk with its interval and what it rests on; no number where anything blocks."""
        return explain_risks(self._round, proposal, self.check(proposal))

    def write(self, proposal: Proposal, order: Order) -> Written:
        """Forecasts as FHIR RiskAssessments, or as documents."""
        remarks = check_writable(self.check(proposal), order.overrides, where=self._opened.folder.name)
        capability = read_capability(order.server)
        origin = origin_of(self._opened, proposal, order, remarks=remarks)
        drafts = tuple(risk_drafts(self._round, proposal, order, capability))
        return Written(transaction=transaction(drafts, origin, capability=capability), left_out={})

    def score(self) -> Score:
        """How good such forecasts were on held-out patients, group by group."""
        return score_risks(self._opened)


def open_early_warning(opened: Opened) -> UseCaseKind:
    """Bind the kind to a folder."""
    return EarlyWarning(opened)


KIND = Kind(
    name="early-warning",
    meaning="how likely an outcome is for a patient, from what was known at the index moment",
    seconds=20,
    megabytes=800,
    open=open_early_warning,
)
