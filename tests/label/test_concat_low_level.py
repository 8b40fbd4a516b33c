import pytest
import torch
import torch.nn.functional as F

from bana.label.upsampled import concat_low_level


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.rand(1, 6, 5, 7), torch.randn(1, 4, 5, 7) + 3


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_cosines_are_the_weighted_mean_of_both_depths(maps, weight):
    features, finest = maps
    joint = concat_low_level(features, finest, weight)
    assert joint.shape == (1, 10, 5, 7)
    torch.testing.assert_close(joint[:, :6], features)
    centered = finest - finest.mean((2, 3), keepdim=True)
    for first, second in (((0, 0), (4, 6)), ((2, 3), (1, 5))):
        both, f, g = (
            float(F.cosine_similarity(each[0, :, *first], each[0, :, *second], dim=0))
            for each in (joint, features, centered)
        )
        assert both == pytest.approx((f + weight**2 * g) / (1 + weight**2), abs=1e-6)


def test_weight_zero_leaves_the_features(maps):
    assert concat_low_level(*maps, 0.0) is maps[0]


def test_a_finer_map_comes_to_the_size_of_the_features(maps):
    features, _ = maps
    finest = torch.linspace(0, 1, 9 * 13).view(1, 1, 9, 13).repeat(1, 2, 1, 1)
    joint = concat_low_level(features, finest, 1.0)
    assert joint.shape == (1, 8, 5, 7)
    assert (joint[0, 6].sign() == (finest[0, 0, ::2, ::2] - 0.5).sign()).all()  # corners on corners


def test_a_uniform_map_adds_nothing(maps):
    features, _ = maps
    joint = concat_low_level(features, torch.full((1, 4, 5, 7), 2.0), 1.0)
    assert torch.isfinite(joint).all()
    assert not joint[:, 6:].any()
