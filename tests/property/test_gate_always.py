"""What a gate does whatever the evidence: it fails closed, easier thresholds never hurt, the order does not matter."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from salus.findings import Grade
from salus.programme.gate import Verdict, judge, judge_criterion, needed_to_clear
from salus.programme.protocol import Age, Bound, Threshold
from tests.small_usecase import CRITERION, FINDING, NOW, PROTOCOL

RANK = {Verdict.FAIL: 0, Verdict.NOT_ESTIMABLE: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 3}
NAMES = ("a", "b", "c")
numbers = st.integers(-20, 20).map(lambda n: n / 20)
perhaps = st.none() | numbers


@st.composite
def thresholds(draw):
    low, high = sorted(draw(st.tuples(numbers, numbers)))
    strict = draw(st.booleans())
    kind = draw(st.sampled_from(list(Bound)))
    if kind is Bound.BOTH and low < high:
        return kind, Threshold(text="in", low=low, high=high)
    if kind is Bound.UPPER:
        return kind, Threshold(text="<", high=high, strict=strict)
    return (Bound.LOWER if kind is Bound.BOTH else kind), Threshold(text=">", low=low, strict=strict)


@st.composite
def criteria(draw):
    bound, threshold = draw(thresholds())
    return replace(
        CRITERION,
        bound=bound,
        threshold=threshold,
        min_events=draw(st.integers(0, 300)),
        min_patients=draw(st.integers(0, 3000)),
        min_grade=draw(st.sampled_from(list(Grade))),
        max_age=Age(text="", days=draw(st.integers(1, 400))),
    )


@st.composite
def findings(draw):
    lower, value, upper = (draw(perhaps) for _ in range(3))
    if draw(st.booleans()) and None not in (lower, value, upper):
        lower, value, upper = sorted((lower, value, upper))
    return replace(
        FINDING,
        value=value,
        lower=lower,
        upper=upper,
        events=draw(st.none() | st.integers(0, 400)),
        patients=draw(st.integers(0, 4000)),
        grade=draw(st.sampled_from(list(Grade))),
        created=draw(st.sampled_from(["", FINDING.created, (NOW - timedelta(days=200)).isoformat()])),
    )


@st.composite
def gates(draw):
    """A protocol of up to three criteria on populations of their own, and a finding for some of them."""
    asked = [replace(draw(criteria()), id=name, population=name) for name in NAMES[: draw(st.integers(1, 3))]]
    found = [replace(draw(findings()), population=name) for name in NAMES if draw(st.booleans())]
    frozen_at = draw(st.sampled_from([None, NOW - timedelta(days=300), NOW - timedelta(hours=1)]))
    exploratory = draw(st.sampled_from(["", "the test set was looked at"]))
    return replace(PROTOCOL, criteria=tuple(asked), frozen_at=frozen_at, exploratory=exploratory), found


def easier(threshold: Threshold, by: float) -> Threshold:
    return replace(
        threshold,
        low=None if threshold.low is None else threshold.low - by,
        high=None if threshold.high is None else threshold.high + by,
    )


@given(criteria(), findings(), st.integers(0, 20).map(lambda n: n / 20), st.booleans())
def test_an_easier_threshold_never_gives_a_worse_verdict(criterion, finding, by, relax):
    eased = replace(criterion, threshold=replace(easier(criterion.threshold, by), strict=False))
    if relax:
        eased = replace(eased, min_events=0, min_patients=0, min_grade=Grade.D, max_age=None)
    before = judge_criterion(criterion, [finding], now=NOW).verdict
    after = judge_criterion(eased, [finding], now=NOW).verdict
    if before is Verdict.PASS or not relax:
        assert RANK[after] >= RANK[before]


@given(gates(), st.data())
def test_without_a_finding_a_gate_never_opens_that_was_shut(gate, data):
    """One finding for each criterion; where several fit, which one is meant is not for the gate to guess."""
    protocol, found = gate
    kept = [finding for finding in found if data.draw(st.booleans())]
    before, after = judge(protocol, found, now=NOW), judge(protocol, kept, now=NOW)
    if before.verdict is not Verdict.PASS:
        assert after.verdict is not Verdict.PASS
    for one, other in zip(before.criteria, after.criteria, strict=True):
        assert other.verdict in (one.verdict, Verdict.NOT_ESTIMABLE)


@given(gates())
def test_without_any_finding_nothing_is_estimable(gate):
    protocol, _ = gate
    found = judge(protocol, [], now=NOW)
    assert found.verdict is Verdict.NOT_ESTIMABLE
    assert {each.verdict for each in found.criteria} == {Verdict.NOT_ESTIMABLE}


@given(gates())
def test_exploratory_evidence_never_opens_a_gate(gate):
    protocol, found = gate
    judgement = judge(protocol, found, now=NOW)
    if judgement.exploratory:
        assert judgement.verdict is not Verdict.PASS
    if protocol.exploratory or not protocol.frozen:
        assert judgement.exploratory
    if judgement.verdict is Verdict.PASS:
        assert protocol.frozen_at is not None
        assert all(each.verdict is Verdict.PASS for each in judgement.criteria)
        assert all(each.finding.created > protocol.frozen_at.isoformat() for each in judgement.criteria)


@given(gates(), st.randoms())
def test_the_order_of_findings_does_not_matter(gate, random):
    protocol, found = gate
    mixed = list(found)
    random.shuffle(mixed)
    assert judge(protocol, mixed, now=NOW) == judge(protocol, found, now=NOW)


@given(criteria(), st.lists(findings(), max_size=3), st.randoms())
def test_the_order_does_not_matter_where_several_fit(criterion, found, random):
    mixed = list(found)
    random.shuffle(mixed)
    one, other = (judge_criterion(criterion, these, now=NOW) for these in (found, mixed))
    assert (one.verdict, one.reason) == (other.verdict, other.reason)


@given(gates())
def test_the_same_question_gets_the_same_answer(gate):
    protocol, found = gate
    assert judge(protocol, found, now=NOW).as_json() == judge(protocol, found, now=NOW).as_json()


@given(gates(), st.integers(0, 1000))
def test_time_alone_never_opens_a_gate(gate, days):
    protocol, found = gate
    today, later = (judge(protocol, found, now=moment) for moment in (NOW, NOW + timedelta(days=days)))
    if today.verdict is not Verdict.PASS:
        assert later.verdict is not Verdict.PASS


@given(criteria(), findings())
@example(replace(CRITERION, threshold=Threshold(text=">= 0.75", low=0.75)), replace(FINDING, lower=0.7))
def test_the_further_events_would_do(criterion, finding):
    """With so many more events, and an interval narrower by the root of that, the same value passes."""
    found = judge_criterion(criterion, [finding], now=NOW)
    if found.further_events is None:
        return
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.further_events > 0
    if finding.lower is None or finding.upper is None:
        return  # a criterion may look at the value alone, and there is no interval to narrow
    events = (finding.events or 0) + found.further_events
    narrower = math.sqrt((finding.events or events) / events)
    more = replace(
        finding,
        events=events,
        lower=finding.value - (finding.value - finding.lower) * narrower - 0.0,
        upper=finding.value + (finding.upper - finding.value) * narrower,
    )
    eased = replace(criterion, threshold=replace(easier(criterion.threshold, 1e-9), strict=False))
    if finding.events and criterion.min_events <= finding.events:
        assert judge_criterion(eased, [more], now=NOW).verdict is Verdict.PASS


@given(numbers, st.integers(1, 1000))
def test_bounds_that_clear_already_need_nobody_more(value, counted):
    asked = Threshold(text="in", low=value - 1, high=value + 1)
    finding = replace(FINDING, value=value, lower=value - 0.5, upper=value + 0.5)
    assert needed_to_clear(finding, asked, counted=counted) == counted
