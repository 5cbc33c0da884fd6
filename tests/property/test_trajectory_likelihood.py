"""Each patient's likelihood, measured among others, is what the patient has alone; together they are the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from salus.trajectory.batches import make_batch
from salus.trajectory.gradients import GradientPool
from salus.trajectory.likelihood import PARTS, patient_likelihood
from salus.trajectory.network import Network, Size
from salus.trajectory.reading import prepare
from tests.small_ward import CODES, SETTINGS, ward

LESSONS = prepare(ward(60), CODES, SETTINGS)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    return Network(LESSONS.vocabulary, Size(width=16)).eval()


def test_a_patient_among_others_has_the_likelihood_of_the_patient_alone(network):
    together = patient_likelihood(network, LESSONS.train, LESSONS.vocabulary, batch_facts=60)
    for number in range(0, LESSONS.train.patients, 7):
        with torch.no_grad():
            alone = network(make_batch(LESSONS.train.of(np.array([number])), LESSONS.vocabulary))
        for part in PARTS:
            assert getattr(together, part)[number] == pytest.approx(float(alone[part]), rel=0.02, abs=0.02)


def test_the_patients_together_are_the_whole(network):
    """The sums over one batch of all patients, cut up by patients, and by fact."""
    each = patient_likelihood(network, LESSONS.train, LESSONS.vocabulary, batch_facts=60)
    with torch.no_grad():
        whole = network(make_batch(LESSONS.train, LESSONS.vocabulary))
    assert each.facts.sum() == LESSONS.train.facts
    for part in (*PARTS, "seldom"):
        assert each.a_fact()[part] == pytest.approx(float(whole[part]) / LESSONS.train.facts, rel=1e-3)
    assert each.each_a_fact() @ each.facts / LESSONS.train.facts == pytest.approx(
        sum(each.a_fact()[part] for part in PARTS)
    )


def test_the_order_of_patients_changes_nothing_but_the_order(network):
    turned = np.arange(LESSONS.train.patients)[::-1]
    straight = patient_likelihood(network, LESSONS.train, LESSONS.vocabulary)
    back = patient_likelihood(network, LESSONS.train.of(turned), LESSONS.vocabulary)
    assert back.code[::-1] == pytest.approx(straight.code, rel=0.02, abs=0.02)
    assert (back.facts[::-1] == straight.facts).all()


@pytest.mark.parametrize("cores", [1, 2])
def test_looking_with_one_process_or_two_gives_the_same_to_the_last_bit(network, cores):
    straight = patient_likelihood(network, LESSONS.train, LESSONS.vocabulary, batch_facts=60)
    with GradientPool(network, LESSONS.vocabulary, cores=cores) as pool:
        spread = pool.likelihood(LESSONS.train, batch_facts=60)
    for part in (*PARTS, "facts"):
        assert (getattr(spread, part) == getattr(straight, part)).all()
    assert (spread.seldom, spread.impossible) == (straight.seldom, straight.impossible)
