"""The random walk against dense matrices, and what holds for every walk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.affinity.walk import random_walk, transition
from reference import affinity_loops

MAPS = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))


def drawn(height, width, seed, channels=3):
    return torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(chances):
    """T itself: what one step makes of the map of each single cell are its columns."""
    height, width = chances.degree.shape
    single = torch.eye(height * width, dtype=chances.degree.dtype).view(-1, height, width)
    return random_walk(chances, single, 1).flatten(1).T


@settings(max_examples=25, deadline=None)
@given(MAPS, st.integers(2, 5), st.sampled_from([1.0, 8.0]))
def test_the_matrix_is_that_of_the_loops(size, radius, power):
    features = drawn(*size)
    expected = affinity_loops.transition_matrix(features.tolist(), radius, power)
    torch.testing.assert_close(dense(transition(features, radius, power)), torch.tensor(expected).double())


@settings(max_examples=25, deadline=None)
@given(MAPS)
def test_rows_sum_to_one_and_no_entry_is_negative(size):
    matrix = dense(transition(drawn(*size), 5, 8.0))
    torch.testing.assert_close(matrix.sum(1), torch.ones_like(matrix[0]))
    assert (matrix >= 0).all()


@settings(max_examples=25, deadline=None)
@given(MAPS)
def test_a_walk_is_the_power_of_the_matrix(size):
    chances, maps = transition(drawn(*size), 3, 8.0), drawn(*size[:2], seed=100, channels=2)
    before = maps.clone()
    power = torch.linalg.matrix_power(dense(chances), 16)
    expected = (maps.flatten(1) @ power.T).view(maps.shape)
    torch.testing.assert_close(random_walk(chances, maps, 16), expected)
    assert torch.equal(maps, before)


@settings(max_examples=25, deadline=None)
@given(MAPS, st.floats(-3, 3))
def test_constants_stay_and_values_stay_within_bounds(size, value):
    chances, maps = transition(drawn(*size), 5, 8.0), drawn(*size[:2], seed=101, channels=2)
    torch.testing.assert_close(random_walk(chances, torch.full_like(maps, value), 64), torch.full_like(maps, value))
    spread = random_walk(chances, maps, 64)
    assert (spread.amax((1, 2)) <= maps.amax((1, 2)) + 1e-9).all()
    assert (spread.amin((1, 2)) >= maps.amin((1, 2)) - 1e-9).all()


def test_no_step_changes_nothing():
    maps = drawn(4, 5, seed=1)
    assert torch.equal(random_walk(transition(drawn(4, 5, 0), 3, 8.0), maps, 0), maps)


def test_identical_features_share_everything():
    """A cell's mass is spread until all that can be reached has the same."""
    maps = torch.zeros(1, 6, 7, dtype=torch.float64)
    maps[0, 1, 2] = 1.0
    spread = random_walk(transition(torch.ones(4, 6, 7, dtype=torch.float64), 5, 8.0), maps, 256)
    assert spread.max() == pytest.approx(spread.min())
    assert spread.min() > 0


def test_what_is_told_apart_shares_nothing():
    """Two halves whose features differ a lot: what is on the left stays there, and fills the left."""
    features = torch.zeros(1, 6, 8)
    features[..., 4:] = 50.0
    maps = torch.zeros(1, 6, 8)
    maps[0, 2, 1] = 1.0
    spread = random_walk(transition(features, 5, 8.0), maps, 256)
    assert spread[..., :4].min() > 0.01
    assert spread[..., 4:].max() < 1e-12
