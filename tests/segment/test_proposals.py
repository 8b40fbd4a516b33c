"""BoxSup's choice among proposals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.segment.proposals import TOP, drawn_proposal, proposal_costs
from reference import update_loops


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 6), lam=st.floats(0, 5))
def test_costs_are_those_of_the_loops(seed, count, lam):
    generator = np.random.default_rng(seed)
    masks, overlaps = generator.random((count, 4, 5)) < 0.5, generator.random(count)
    of_class, of_background = generator.random((2, 4, 5)).round(1).astype(np.float32)  # some are 0
    found = proposal_costs(masks, overlaps, of_class, of_background, lam)
    expected = update_loops.proposal_costs(masks, overlaps, of_class, of_background, lam)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_proposal_that_is_the_prediction_costs_least():
    truth = np.zeros((6, 6), bool)
    truth[1:5, 2:5] = True
    masks = np.stack([truth, ~truth, np.ones_like(truth), np.roll(truth, 1, 0)])
    of_class = np.where(truth, 0.9, 0.1).astype(np.float32)
    costs = proposal_costs(masks, np.full(4, 0.5), of_class, 1 - of_class)
    assert costs.argmin() == 0
    better = proposal_costs(masks, np.array([0.5, 0.9, 0.5, 0.5]), of_class, 1 - of_class)
    assert better[1] == pytest.approx(costs[1] - 0.4)


def test_one_of_the_cheapest_is_drawn():
    generator = np.random.default_rng(0)
    costs = generator.permutation(np.arange(20.0))
    drawn = {drawn_proposal(costs, generator) for _ in range(200)}
    assert {costs[each] for each in drawn} == set(range(TOP))
    assert drawn_proposal(np.array([3.0]), generator) == 0
    same = [drawn_proposal(costs, np.random.default_rng(7)) for _ in range(2)]
    assert same[0] == same[1]
