import pytest
import torch

from bana.refine.losses import pairwise_loss, reach_loss, weighted_cross_entropy
from reference import refine_loops

SIDE = 9
BOX = (1.5, 1.5, 6.5, 7.0)  # columns 2 to 6, rows 2 to 7


@pytest.fixture(params=range(4))
def windows(request):
    """Logits, targets, weights, colors and boxes of five windows; boxes may reach beyond the map."""
    generator = torch.Generator().manual_seed(request.param)
    logits = 3 * torch.randn(5, SIDE, SIDE, generator=generator)
    targets, weights = torch.rand(2, 5, SIDE, SIDE, generator=generator)
    colors = 0.3 * torch.rand(5, 3, SIDE, SIDE, generator=generator)
    centers, halves = torch.tensor((SIDE - 1) / 2), 0.5 + 4.5 * torch.rand(5, 2, generator=generator)
    return logits, targets, weights.round(decimals=1), colors, torch.cat([centers - halves, centers + halves], 1)


def losses_of(logits, targets, weights, colors, boxes):
    """All three losses, as sums over windows."""
    return {
        "known": weighted_cross_entropy(logits, targets, weights),
        "reach": reach_loss(logits, boxes),
        "pairwise": pairwise_loss(logits, colors, boxes),
    }


def object_mask():
    """A cross that touches all four sides of BOX, bool (1, h, w)."""
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    mask[0, 2:8, 4] = mask[0, 4, 2:7] = True
    return mask


def test_losses_are_those_of_the_loops(windows):
    logits, targets, weights, colors, boxes = (each.tolist() for each in windows)
    found = losses_of(*windows)
    assert found["known"].item() == pytest.approx(
        refine_loops.weighted_cross_entropy(logits, targets, weights), rel=1e-5
    )
    assert found["reach"].item() == pytest.approx(refine_loops.reach_loss(logits, boxes), rel=1e-5)
    expected = refine_loops.pairwise_loss(logits, colors, boxes)
    assert expected > 0
    assert found["pairwise"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("threshold", [0.3, 0.9])
def test_the_threshold_of_likeness_chooses_the_pairs(windows, threshold):
    logits, _, _, colors, boxes = windows
    expected = refine_loops.pairwise_loss(logits.tolist(), colors.tolist(), boxes.tolist(), threshold)
    assert pairwise_loss(logits, colors, boxes, threshold).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert pairwise_loss(logits, colors, boxes, threshold).item() != pairwise_loss(logits, colors, boxes).item()


@pytest.mark.parametrize("name", ["known", "reach", "pairwise"])
def test_shares_of_a_batch_add_up(windows, name):
    first, rest = ([each[part] for each in windows] for part in (slice(0, 2), slice(2, 5)))
    whole = losses_of(*windows)[name]
    assert losses_of(*first)[name] > 0
    torch.testing.assert_close(losses_of(*first)[name] + losses_of(*rest)[name], whole)


@pytest.mark.parametrize("name", ["known", "reach", "pairwise"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_gradients_are_finite_at_extreme_logits(windows, name, size):
    logits, *others = windows
    extreme = (logits.sign() * size).requires_grad_()
    loss = losses_of(extreme, *others)[name]
    (gradient,) = torch.autograd.grad(loss, extreme)
    assert gradient.isfinite().all()
    assert loss.isfinite()


def test_a_perfect_prediction_has_hardly_any_loss():
    mask = object_mask()
    logits, boxes = torch.where(mask, 20.0, -20.0), torch.tensor([BOX])
    colors = mask[:, None].float().expand(-1, 3, -1, -1)
    losses = losses_of(logits, mask.float(), torch.ones_like(logits), colors, boxes)
    assert all(0 <= loss < 1e-4 for loss in losses.values())
    wrong = losses_of(-logits, mask.float(), torch.ones_like(logits), colors, boxes)
    assert wrong["known"] > 100
    plain = losses_of(logits, mask.float(), torch.ones_like(logits), torch.zeros_like(colors), boxes)
    assert plain["pairwise"] > 1  # neighbors of one color that have two labels


def test_an_empty_prediction_does_not_reach_into_its_box():
    logits, boxes = torch.full((1, SIDE, SIDE), -5.0), torch.tensor([BOX])
    assert reach_loss(logits, boxes).item() == pytest.approx(5, abs=0.01)
    outside = logits.clone()
    outside[0, 0], outside[0, :, 8] = 20, 20
    assert reach_loss(outside, boxes).item() == reach_loss(logits, boxes).item()
    half = logits.clone()
    half[0, 2:8, 3] = 20  # all six rows, one of five columns
    assert reach_loss(half, boxes).item() == pytest.approx(5 * (0 + 4 / 5) / 2, abs=0.01)


def test_only_cells_with_weight_have_gradients():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, SIDE, SIDE, generator=generator).requires_grad_()
    weights = (torch.rand(2, SIDE, SIDE, generator=generator) > 0.5).float()
    weighted_cross_entropy(logits, torch.ones_like(weights), weights).backward()
    assert torch.equal(logits.grad != 0, weights > 0)


def test_reach_teaches_one_cell_of_each_row_and_column():
    logits = torch.randn(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    reach_loss(logits, torch.tensor([BOX])).backward()
    taught = logits.grad[0] < 0
    inside = torch.zeros_like(taught)
    inside[2:8, 2:7] = True
    assert not (logits.grad[0][~inside] != 0).any()
    assert taught.any(1)[2:8].all()
    assert taught.any(0)[2:7].all()
    assert taught.sum() <= 6 + 5


@pytest.mark.parametrize(
    "box", [(3.2, 3.3, 3.4, 3.6), (3.2, 1.0, 3.4, 7.0), (1.0, 3.2, 7.0, 3.4), (-3.0, -3.0, -1.0, -1.0)]
)
def test_a_box_of_a_fraction_of_a_cell_gives_finite_losses(box):
    logits = torch.randn(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    boxes = torch.tensor([box])
    reach = reach_loss(logits, boxes)
    assert reach.item() == pytest.approx(refine_loops.reach_loss(logits.tolist(), [box]), rel=1e-5)
    pairwise = pairwise_loss(logits, torch.zeros(1, 3, SIDE, SIDE), boxes)
    (gradient,) = torch.autograd.grad(reach + pairwise, logits)
    assert (reach + pairwise).isfinite()
    assert gradient.isfinite().all()


def test_no_windows_are_no_loss():
    nothing = losses_of(*(torch.zeros(0, *size) for size in ((4, 4), (4, 4), (4, 4), (3, 4, 4), (4,))))
    assert all(loss == 0 for loss in nothing.values())
