"""Common random numbers: as even as chance, the same whenever the same is asked, and met by no draw but their own."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from salus.trajectory.keyed import Keyed, inverted, named, uniform

ROWS = 40_000


def test_draws_of_neighbouring_names_are_even_and_know_nothing_of_each_other():
    """Rows, moments and fields count up by one: correlations of 40,000 pairs lie within 4.5/200 of nought."""
    keyed = Keyed(7, rows=ROWS, fields=3)
    everyone = torch.arange(ROWS)
    columns = []
    for _ in range(3):
        columns += [keyed.wait(torch.ones(ROWS, 1), everyone)[1].numpy()]
        keyed.open(everyone)
        columns += [column for column in keyed.opened.comes.numpy().T]
        columns += [keyed.place(everyone, field).numpy() for field in range(3)]
        columns += [
            keyed.level(torch.ones(ROWS, 1_000), everyone, field).numpy() / 1_000 for field in range(3)
        ]
    table = np.stack(columns)
    for column in table:
        assert kstest(column + (5e-4 if len(np.unique(column)) <= 1_000 else 0), "uniform").pvalue > 1e-5
    between = np.corrcoef(table) - np.eye(len(table))
    assert np.abs(between).max() < 4.5 / np.sqrt(ROWS)
    after = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in table]
    assert np.abs(after).max() < 4.5 / np.sqrt(ROWS)


def test_other_seeds_give_other_draws():
    one, two = (
        uniform(named(Keyed(seed, rows=1_000, fields=1).rows, np.uint64(1))).numpy() for seed in (1, 2)
    )
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.15


def test_who_else_is_drawn_changes_nothing():
    """Rows 3 and 5 alone draw what they draw among all others."""
    weights = torch.tensor([[0.2, 0.5, 0.3]])
    all_, some = Keyed(3, rows=10, fields=2), Keyed(3, rows=10, fields=2)
    everyone, few = torch.arange(10), torch.tensor([3, 5])
    all_.open(everyone)
    some.open(few)
    among = all_.field(weights.repeat(10, 1), everyone)[few]
    assert among.tolist() == some.field(weights.repeat(2, 1), torch.arange(2)).tolist()
    levels = all_.level(torch.ones(10, 50), everyone, 1)[few]
    assert levels.tolist() == some.level(torch.ones(2, 50), torch.arange(2), 1).tolist()


def test_fields_come_as_often_as_their_weights_say():
    keyed, everyone = Keyed(5, rows=ROWS, fields=2), torch.arange(ROWS)
    keyed.open(everyone)
    drawn = keyed.field(torch.tensor([[0.4, 0.0, 1.6]]).repeat(ROWS, 1), everyone)
    shares = np.bincount(drawn.numpy(), minlength=3) / ROWS
    np.testing.assert_allclose(shares, [0.2, 0.0, 0.8], atol=4.5 * np.sqrt(0.16 / ROWS))


def test_a_field_that_comes_again_in_its_moment_comes_by_fresh_luck():
    """It comes with chance 0.3 each time: of those in whom it came once, three in ten have it again."""
    keyed, everyone = Keyed(5, rows=ROWS, fields=1), torch.arange(ROWS)
    keyed.open(everyone)
    weights = torch.tensor([[0.3, 0.7]])
    first = (keyed.field(weights.repeat(ROWS, 1), everyone) == 0).nonzero()[:, 0]
    keyed.place(first, 0)
    again = keyed.field(weights.repeat(len(first), 1), first) == 0
    assert abs(float(again.float().mean()) - 0.3) < 4.5 * np.sqrt(0.21 / len(first))


def test_what_is_left_of_a_wait_cut_short_is_fresh_luck():
    """Waits even over 0 to 1, cut at 0.4 where they reach beyond: what is left is even, and kept for the next wait."""
    keyed, everyone = Keyed(5, rows=ROWS, fields=1), torch.arange(ROWS)
    _, place = keyed.wait(torch.ones(ROWS, 1), everyone)
    beyond = (place > 0.4).nonzero()[:, 0]
    keyed.hold(beyond, torch.full((len(beyond),), 0.4))
    moments = keyed.moment.copy()
    keyed.open(beyond)
    assert (keyed.moment == moments).all()
    _, rest = keyed.wait(torch.ones(len(beyond), 1), beyond)
    torch.testing.assert_close(rest, (place[beyond] - 0.4) / 0.6, atol=1e-6, rtol=0)
    assert kstest(rest.numpy(), "uniform").pvalue > 1e-5
    keyed.open(beyond)
    _, fresh = keyed.wait(torch.ones(len(beyond), 1), beyond)
    assert abs(np.corrcoef(rest.numpy(), fresh.numpy())[0, 1]) < 4.5 / np.sqrt(len(beyond))


@settings(max_examples=100, deadline=None)
@given(
    weights=st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e3)), min_size=1, max_size=8).filter(any),
    share=st.floats(0, 1, exclude_max=True),
)
def test_the_column_drawn_is_where_the_running_sum_passes_the_share(weights, share):
    column, inside = inverted(
        torch.tensor([weights], dtype=torch.float64), torch.tensor([share], dtype=torch.float64)
    )
    reach, place = np.cumsum(weights), int(column)
    assert weights[place] > 0
    assert 0 <= float(inside) < 1
    found = (reach[place] - weights[place] + float(inside) * weights[place]) / reach[-1]
    assert abs(found - share) < 1e-6
