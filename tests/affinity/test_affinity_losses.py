"""Pairs of cells and the loss over them, against loops and against what must hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.affinity.losses import UNKNOWN, affinity_loss, pair_losses
from bana.affinity.pairs import distances, paired, shifts_within
from reference import affinity_loops

SIZES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def drawn(size, seed, channels=3, count=2, classes=2):
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(count, channels, *size, generator=generator, dtype=torch.float64)
    return features, torch.randint(UNKNOWN, classes + 1, (count, *size), generator=generator)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(2, 6))
def test_every_pair_that_is_near_comes_once(size, radius):
    cells = torch.arange(size[0] * size[1]).view(size)
    pairs = [
        tuple(pair) for shift in shifts_within(radius, size) for pair in zip(*(
            each.flatten().tolist() for each in paired(cells, shift)
        ), strict=True)
    ]  # fmt: skip
    places = affinity_loops.cells_of(*size)
    expected = {
        (first, second)
        for first in range(len(places))
        for second in range(first + 1, len(places))
        if affinity_loops.near(places[first], places[second], radius)
    }
    assert len(pairs) == len(set(pairs))
    assert {tuple(sorted(pair)) for pair in pairs} == expected


def test_a_radius_of_five_has_68_neighbors():
    assert 2 * len(shifts_within(5, (20, 20))) == 68


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(2, 5), st.integers(0, 99))
def test_losses_are_those_of_the_loops(size, radius, seed):
    features, labels = drawn(size, seed)
    sums, counts = pair_losses(features, labels, radius)
    looped = [
        affinity_loops.pair_losses(*pair, radius) for pair in zip(features.tolist(), labels.tolist(), strict=True)
    ]
    for kind in range(3):
        assert sums[kind].item() == pytest.approx(sum(each[0][kind] for each in looped), rel=1e-9)
        assert counts[kind].item() == sum(each[1][kind] for each in looped)


def test_the_loss_weighs_means_one_one_and_two():
    loss = affinity_loss(torch.tensor([6.0, 4.0, 10.0]), torch.tensor([3.0, 2.0, 5.0]))
    assert loss.item() == pytest.approx(2 + 2 + 2 * 2)
    assert affinity_loss(torch.zeros(3), torch.zeros(3)).item() == 0


def test_the_gradient_is_that_of_small_differences():
    features, labels = drawn((3, 4), seed=3)

    def loss(values):
        return affinity_loss(*pair_losses(values, labels, 3))

    assert torch.autograd.gradcheck(loss, features.requires_grad_())


def test_identical_features_cost_nothing_together_and_much_but_no_infinity_apart():
    features = torch.ones(1, 4, 3, 3, requires_grad=True)
    alike = affinity_loss(*pair_losses(features, torch.ones(1, 3, 3).long(), 5))
    assert alike.item() == 0
    mixed = affinity_loss(*pair_losses(features, torch.arange(9).view(1, 3, 3) % 2, 5))
    mixed.backward()
    assert 10 < mixed.item() < 100
    assert features.grad.isfinite().all()


def test_neutral_cells_count_for_nothing():
    features, labels = drawn((5, 5), seed=1)
    neutral = labels == UNKNOWN
    assert neutral.any()
    changed = torch.where(neutral[:, None], 7.0, features)
    for first, second in zip(pair_losses(features, labels, 4), pair_losses(changed, labels, 4), strict=True):
        torch.testing.assert_close(first, second)
    sums, counts = pair_losses(features, torch.full_like(labels, UNKNOWN), 4)
    assert not sums.any()
    assert not counts.any()


def test_distances_are_the_same_either_way():
    features, _ = drawn((4, 6), seed=2)
    first, second = paired(features, (2, -3))
    assert first.shape == second.shape == (2, 3, 2, 3)
    torch.testing.assert_close(distances(features, (2, -3)), (second - first).abs().sum(1))
