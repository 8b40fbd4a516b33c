import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.label.upsampled import UpsampledFeatures, interpolation_matrix
from reference import upsampled_naive as naive

SHAPES = [  # channels, (h, w), (H, W)
    (64, (12, 16), (94, 125)),
    (16, (47, 63), (375, 500)),
    (8, (9, 9), (9, 9)),
    (8, (7, 5), (3, 2)),  # smaller than the map
    (8, (1, 6), (1, 40)),
    (8, (6, 1), (40, 1)),
    (8, (1, 1), (5, 7)),
    (8, (5, 6), (1, 1)),
    (1, (2, 2), (31, 17)),
]


def case(channels, low, size, seed=0, vectors=3):
    """Non-negative features with some zero cells, vectors, and masks of which one is empty."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(channels, *low, generator=generator).relu()
    masks = torch.rand(3, *size, generator=generator) < torch.tensor([0.7, 0.2, 0.0]).view(3, 1, 1)
    return features, torch.randn(vectors, channels, generator=generator), masks


def check(features, size, vectors, masks):
    own = UpsampledFeatures(features, size)
    close = {"atol": 1e-4, "rtol": 1e-5}
    torch.testing.assert_close(own.dot(vectors), naive.dot(features, size, vectors), **close)
    torch.testing.assert_close(own.mean(masks), naive.masked_mean(features, size, masks), **close)
    torch.testing.assert_close(own.squared_norm(), naive.squared_norm(features, size), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(own.cosine(vectors), naive.cosine(features, size, vectors), **close)
    lifted = own.upsampled_cosine(vectors)
    torch.testing.assert_close(lifted, naive.upsampled_cosine(features, size, vectors), **close)


@pytest.mark.parametrize(("channels", "low", "size"), SHAPES)
def test_all_answers_are_those_of_the_upsampled_tensor(channels, low, size):
    features, vectors, masks = case(channels, low, size)
    check(features, size, vectors, masks)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 1000),
)
def test_any_small_shape(channels, low, size, seed):
    features, vectors, masks = case(channels, low, size, seed)
    check(features + 0.1, size, vectors, masks)  # away from zero vectors, whose cosine is the sign of a rounding


def test_labels_agree_on_nearly_every_pixel():
    """Prototypes of three regions, and the most similar one for every pixel."""
    size = (375, 500)
    features, _, _ = case(256, (47, 63), size)
    masks = torch.zeros(3, *size, dtype=torch.bool)
    masks[0, :, :150] = masks[1, 200:, 150:] = masks[2, :200, 150:] = True
    own = UpsampledFeatures(features, size)
    found = own.cosine(own.mean(masks)).argmax(0)
    expected = naive.cosine(features, size, naive.masked_mean(features, size, masks)).argmax(0)
    assert (found == expected).float().mean() >= 0.9999


def test_sums_are_weighted_by_masks_of_numbers():
    features, _, _ = case(8, (5, 6), (20, 30))
    weights = torch.rand(2, 20, 30)
    found = UpsampledFeatures(features, (20, 30)).sum(weights)
    torch.testing.assert_close(found, naive.masked_sum(features, (20, 30), weights), atol=1e-3, rtol=1e-5)


def test_the_mean_of_an_empty_mask_is_zero():
    features, _, _ = case(8, (5, 6), (20, 30))
    assert (UpsampledFeatures(features, (20, 30)).mean(torch.zeros(1, 20, 30, dtype=torch.bool)) == 0).all()


def test_zero_vectors_and_zero_features_have_cosine_0():
    features = torch.zeros(4, 3, 3)
    features[:, 0, 0] = 1
    own = UpsampledFeatures(features, (9, 9))
    assert (own.cosine(torch.zeros(1, 4)) == 0).all()
    assert own.cosine(torch.ones(1, 4)).isfinite().all()
    assert own.cosine(torch.ones(1, 4))[0, -1, -1] == 0


def test_float64_stays_float64():
    features, vectors, _ = case(8, (5, 6), (20, 30))
    found = UpsampledFeatures(features.double(), (20, 30)).cosine(vectors.double())
    torch.testing.assert_close(
        found, naive.cosine(features.double(), (20, 30), vectors.double()), atol=1e-12, rtol=1e-12
    )


@pytest.mark.parametrize(("source", "target"), [(1, 1), (1, 5), (5, 1), (4, 4), (4, 11), (41, 321)])
def test_the_interpolation_of_one_axis(source, target):
    """torch's own; each row holds at most two adjacent weights that sum to 1; first and last cell are kept."""
    matrix = interpolation_matrix(source, target)
    units = torch.eye(source, dtype=torch.float64)[None]
    expected = torch.nn.functional.interpolate(units, target, mode="linear", align_corners=True)[0].T
    torch.testing.assert_close(matrix, expected)
    assert matrix.shape == (target, source)
    torch.testing.assert_close(matrix.sum(1), torch.ones(target, dtype=torch.float64))
    assert (matrix >= 0).all()
    assert ((matrix > 0).sum(1) <= 2).all()
    assert matrix[0, 0] == 1
    if target > 1:
        assert matrix[-1, -1] == 1
