import pytest
import torch

from bana.instance.losses import lab, mask_confidence, mask_loss, pairwise_loss, projection_loss
from reference import mask_loss_loops


def random_objects(count=3, side=6):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, side, side, generator=generator)
    masks, weights = torch.rand(2, count, side, side, generator=generator)
    return logits, masks, weights


def box_masks(count=3, side=6):
    inside = torch.zeros(count, side, side, dtype=torch.bool)
    for number in range(count):
        inside[number, number : number + 3, 1 : 4 + number] = True
    return inside


def test_the_mask_loss_is_that_of_the_loops():
    objects = random_objects()
    expected = mask_loss_loops.mask_loss(*(each.tolist() for each in objects))
    assert mask_loss(*objects).item() == pytest.approx(expected, rel=1e-5)


def test_only_pixels_with_weight_have_gradients():
    logits, masks, weights = random_objects()
    logits.requires_grad_()
    counted = (weights >= 0.5).float()
    mask_loss(logits, masks, counted).backward()
    torch.testing.assert_close(logits.grad != 0, counted > 0)


def test_nothing_with_weight_is_no_loss():
    logits, masks, weights = random_objects()
    logits.requires_grad_()
    loss = mask_loss(logits, masks, torch.zeros_like(weights))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_the_confidence_is_that_of_the_loops():
    cosine = torch.linspace(-1, 1, 41).reshape(1, 1, 41)
    for mask in (0.2, 0.5, 0.9):
        found = mask_confidence(cosine, torch.full_like(cosine, mask), gamma=7.0).flatten().tolist()
        expected = [mask_loss_loops.confidence(value, mask >= 0.5, 7.0) for value in cosine.flatten().tolist()]
        assert found == pytest.approx(expected, abs=1e-6)
    assert mask_confidence(torch.tensor([0.3]), torch.tensor([1.0]), 7.0) == 1
    assert mask_confidence(torch.tensor([0.3]), torch.tensor([0.0]), 7.0) < 0.02


def test_the_projection_loss_is_that_of_the_loops():
    logits, _, _ = random_objects()
    inside = box_masks()
    expected = mask_loss_loops.projection_loss(logits.sigmoid().tolist(), inside.tolist())
    assert projection_loss(logits.sigmoid(), inside).item() == pytest.approx(expected, rel=1e-5)
    assert projection_loss(inside.float(), inside).item() == pytest.approx(0, abs=1e-6)
    cross = torch.zeros(1, 6, 6)
    cross[0, 2, 1:4] = cross[0, 0:3, 2] = 1  # reaches every row and column of the first box
    assert projection_loss(cross, inside[:1]).item() == pytest.approx(0, abs=1e-6)


def test_the_pairwise_loss_is_that_of_the_loops():
    logits, _, _ = random_objects()
    colors = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(1)) * 4
    inside = box_masks()
    expected = mask_loss_loops.pairwise_loss(logits.tolist(), colors.tolist(), inside.tolist())
    assert expected > 0
    assert pairwise_loss(logits, colors, inside).item() == pytest.approx(expected, rel=1e-5)


def test_pairs_of_two_colors_are_free_to_differ():
    colors = torch.zeros(1, 3, 4, 4)
    colors[:, 0, :, 2:] = 50
    logits = torch.full((1, 4, 4), -20.0)
    logits[:, :, 2:] = 20
    inside = torch.ones(1, 4, 4, dtype=torch.bool)
    assert pairwise_loss(logits, colors, inside).item() == pytest.approx(0, abs=1e-6)
    assert pairwise_loss(logits, torch.zeros_like(colors), inside) > 4
    assert pairwise_loss(logits, colors, torch.zeros_like(inside)) == 0


def test_colors_are_those_of_the_standard():
    """L*, a*, b* of sRGB's red, green, blue and a gray for D65, as color tables give them."""
    colors = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [119, 119, 119], [0, 0, 0]]).float()
    expected = torch.tensor(
        [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [50.03, 0, 0], [0, 0, 0]]
    )
    found = lab(colors.T[:, None])[:, 0].T
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
