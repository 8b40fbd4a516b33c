import pytest
import torch
import torch.nn.functional as F

from bana.segment.model import SegmentationNetwork, upsampled
from small_networks import small_backbone


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SegmentationNetwork(small_backbone(), None, 6, classes=3)


def test_answers_are_the_cosines_of_features_and_class_weights(network):
    images = torch.rand(2, 3, 33, 41, generator=torch.Generator().manual_seed(0)) * 255
    features = network.features(images)
    assert features.norm(dim=1).std() > 0.01
    expected = torch.stack([F.cosine_similarity(features, each.view(1, -1, 1, 1)) for each in network.class_weights], 1)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_new_class_weights_are_short_so_that_a_step_turns_them():
    """The gradient of a cosine grows as its vector shrinks."""
    torch.manual_seed(0)
    weights = SegmentationNetwork(small_backbone(), None, 1024, classes=20).class_weights
    assert weights.std().item() == pytest.approx(0.01, rel=0.05)


def test_upsampled_cosines_keep_corners_on_corners():
    """Cells sit on pixels 0, 8, 16, ...; between them values are linear."""
    cosine = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    found = upsampled(cosine, (33, 41))
    torch.testing.assert_close(found[:, :, ::8, ::8], cosine)
    torch.testing.assert_close(found[:, :, ::8, 4::8], (cosine[..., 1:] + cosine[..., :-1]) / 2)
