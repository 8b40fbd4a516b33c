import pytest
import torch
from torchvision.ops import roi_align

from bana.classify.pooling import (
    background_attention,
    background_aware_pool,
    background_queries,
    feature_boxes,
)
from reference import bap_loops


def batch(height, width, channels=6, images=2, seed=0, dtype=torch.float32):
    """Features, a background mask with holes, and three boxes an image that do not all fit the map's cells."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, channels, height, width, generator=generator, dtype=dtype)
    background = (torch.rand(images, 1, height, width, generator=generator) < 0.6).to(dtype)
    corners = torch.rand(images * 3, 2, 2, generator=generator, dtype=dtype).sort(1).values
    xyxy = corners.flatten(1) * torch.tensor([width - 1, height - 1] * 2, dtype=dtype) + 0.1
    index = torch.arange(images, dtype=dtype).repeat_interleave(3)
    return features, background, torch.cat([index[:, None], xyxy], 1)


def pooled(features, background, boxes, grid_size, output_size):
    attention = background_attention(features, *background_queries(features, background, grid_size))
    return background_aware_pool(features, attention, boxes, output_size)


@pytest.mark.parametrize("grid_size", [1, 2, 4, 5])
@pytest.mark.parametrize("size", [(41, 41), (40, 33), (7, 5)])
def test_queries_are_those_of_the_loops(size, grid_size):
    features, background, _ = batch(*size)
    background[0, :, : size[0] // 2] = 0  # empties some cells
    queries, valid = background_queries(features, background, grid_size)
    for image in range(len(features)):
        expected = bap_loops.queries_of_image(features[image], background[image], grid_size)
        assert valid[image].tolist() == [query is not None for query in expected]
        for found, query in zip(queries[image], expected, strict=True):
            torch.testing.assert_close(found, torch.zeros(6) if query is None else query, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("grid_size", [1, 2, 4, 5])
@pytest.mark.parametrize("size", [(9, 12), (7, 5)])
@pytest.mark.parametrize("output_size", [1, 2])
def test_values_and_gradients_are_those_of_the_loops(size, grid_size, output_size):
    features, background, boxes = batch(*size)
    background[1] = 0
    results = []
    for function in (pooled, bap_loops.pooled_boxes):
        leaf = features.clone().requires_grad_()
        value = function(leaf, background, boxes, grid_size, output_size)
        value.square().sum().backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(*(value for value, _ in results), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*(gradient for _, gradient in results), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("length", "grid_size", "first_cell"),
    [(41, 4, 11), (10, 4, 2), (6, 4, 1), (5, 4, 2), (7, 5, 2), (41, 5, 7), (8, 4, 2)],
)
def test_padding_is_split_where_even_and_at_the_end_where_odd(length, grid_size, first_cell):
    """41 in 4: 3 zeros at the end, so the first of four cells of 11 holds 11 positions; 10 in 4: one zero each side."""
    ramp = torch.arange(1.0, length + 1).expand(1, 1, length, length)
    queries, _ = background_queries(ramp, torch.ones_like(ramp), grid_size)
    assert queries.view(grid_size, grid_size)[1, 0] == ramp[0, 0, 0, :first_cell].mean()


def test_a_cell_of_padding_alone_is_no_query():
    features = torch.ones(1, 2, 2, 2)  # 2 cells in 4: one row of padding on each side
    _, valid = background_queries(features, torch.ones(1, 1, 2, 2), 4)
    assert valid.view(4, 4).tolist() == [[1 <= y <= 2 and 1 <= x <= 2 for x in range(4)] for y in range(4)]


def test_cells_without_background_do_not_count():
    features, background, _ = batch(8, 8, images=1)
    background[:, :, :, :4] = 0
    queries, valid = background_queries(features, background, 2)
    assert valid.tolist() == [[False, True, False, True]]
    right = queries[:, valid[0]]
    alone = background_attention(features, right, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(background_attention(features, queries, valid), alone)


def test_no_background_at_all_is_no_attention_and_plain_mean():
    features, background, boxes = batch(9, 9)
    leaf = features.clone().requires_grad_()
    queries, valid = background_queries(leaf, torch.zeros_like(background), 4)
    attention = background_attention(leaf, queries, valid)
    assert not valid.any()
    assert (attention == 0).all()
    result = background_aware_pool(leaf, attention, boxes, 2)
    result.sum().backward()
    torch.testing.assert_close(result, roi_align(features, boxes, 2))
    assert leaf.grad.isfinite().all()


def test_attention_of_zero_features_is_zero_and_has_a_gradient():
    features = torch.zeros(1, 4, 5, 5, requires_grad=True)
    attention = background_attention(features, *background_queries(features, torch.ones(1, 1, 5, 5), 1))
    attention.sum().backward()
    assert (attention == 0).all()
    assert features.grad.isfinite().all()


def test_attention_is_between_0_and_1():
    features, background, _ = batch(9, 9, seed=3)
    attention = background_attention(features, *background_queries(features, background, 4))
    assert attention.min() >= 0
    assert attention.max() <= 1 + 1e-6


def test_a_box_of_pure_background_pools_to_finite_numbers():
    features, _, boxes = batch(9, 9)
    leaf = features.clone().requires_grad_()
    result = background_aware_pool(leaf, torch.ones(2, 1, 9, 9), boxes, 2)
    result.sum().backward()
    assert (result == 0).all()
    assert leaf.grad.isfinite().all()


def test_no_boxes_pool_to_nothing():
    features, background, _ = batch(9, 9)
    assert pooled(features, background, torch.zeros(0, 5), 4, 2).shape == (0, 6, 2, 2)


def test_gradients_are_those_of_finite_differences():
    """Through queries, attention and pooling, in float64."""
    features, background, boxes = batch(6, 5, channels=3, images=1, dtype=torch.float64)
    leaf = (features + 0.05 * features.sign()).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: pooled(f, background, boxes, 2, 2), leaf, atol=1e-6)


def test_feature_boxes_put_corner_cells_on_corner_pixels():
    """A box from the center of the first pixel to that of the last spans the map from its first cell to its last."""
    boxes = torch.tensor([[0.5, 0.5, 320.5, 160.5], [160.5, 80.5, 200.5, 120.5]])
    on_map = feature_boxes(boxes, (161, 321), (21, 41))
    assert on_map.tolist() == [[0, 0, 40, 20], [20, 10, 25, 15]]


def test_feature_boxes_of_a_map_of_one_cell():
    assert feature_boxes(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), (1, 1), (1, 1)).tolist() == [[0, 0, 0, 0]]
