"""The examples are whole use cases: protocol frozen as it stands, criteria about what their task and groups have."""

from __future__ import annotations

import pytest

from salus.cohort.task import read_task
from salus.formats.read_source import read_source
from salus.programme.case import usecase_protocol
from salus.programme.freezing import read_freeze
from salus.programme.read_usecase import read_usecase
from salus.programme.usecase import GroupRule
from salus.programme.usecase_folder import UseCaseFolder
from tests.shape.sources import ROOT

EXAMPLES = [UseCaseFolder(ROOT / "examples" / name) for name in ("cohort", "icu", "clinic")]
each_example = pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)


@each_example
def test_the_protocol_is_the_one_that_was_frozen(folder):
    """After an edit: raise `version:`, then `salus freeze examples/NAME`."""
    protocol = usecase_protocol(folder)
    assert protocol.frozen
    assert read_freeze(folder).digest == protocol.digest


@each_example
def test_the_protocol_says_that_its_test_patients_were_looked_at(folder):
    assert "held-out patients were looked at" in usecase_protocol(folder).exploratory


@each_example
def test_every_criterion_is_about_an_outcome_and_a_group_that_exist(folder):
    outcomes = {outcome.name for outcome in read_task(folder.task).outcomes}
    groups = {name for rule in read_usecase(folder.description).groups for name in names(rule)}
    asked = [criterion.population for criterion in usecase_protocol(folder).criteria]
    for population in asked:
        place, _, group = population.partition("; ")
        assert place in ("", "all") or place.removeprefix("held_out: ") in outcomes
        assert group == "" or group in groups
    assert {f"held_out: {outcome}" for outcome in outcomes} <= set(asked)


@each_example
def test_the_codes_of_a_use_case_are_codes_of_its_source(folder):
    usecase = read_usecase(folder.description)
    known = {entry.code for entry in read_source(folder.source).codes}
    named = [*usecase.inputs.required, *usecase.inputs.used]
    named += [code for rule in usecase.groups for _, code in rule.codes]
    assert set(named) <= known


def names(rule: GroupRule) -> list[str]:
    return [f"{rule.label} {group}" for group, _ in rule.codes] + [
        f"{rule.label} {band.name}" for band in rule.bands
    ]
