import torch
from torch import nn

from bana.nn.backbones import Backbone, BackboneInfo
from bana.nn.heads import FusingHead
from bana.nn.network import Network
from small_networks import Patches


class Normalized(Patches):
    """Patches with batch statistics."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(6)

    def forward(self, images):
        return [self.norm(self.layer(images))]


def make_network():
    torch.manual_seed(0)
    backbone = Backbone(Normalized(), BackboneInfo((6,), (8,), (100.0,) * 3, (50.0,) * 3, "none", "none"))
    return Network(backbone, FusingHead((6,), 4)).train()


def test_batch_statistics_stay_frozen_in_training():
    network = make_network()
    before = {name: value.clone() for name, value in network.named_buffers()}
    images = torch.rand(3, 3, 33, 33) * 255
    answer = network.features(images)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    torch.testing.assert_close(network.eval().features(images), answer)


def test_calibration_gives_each_channel_mean_0_and_variance_1():
    network = make_network()
    images = torch.rand(3, 3, 33, 33, generator=torch.Generator().manual_seed(1)) * 255
    network.calibrate(images)
    with torch.no_grad():
        normalized = network.head.normalise[0](network.feature_maps(images)[0])
    torch.testing.assert_close(normalized.mean((0, 2, 3)), torch.zeros(6), rtol=0, atol=1e-4)
    torch.testing.assert_close(normalized.var((0, 2, 3)), torch.ones(6), rtol=0, atol=1e-3)


def test_images_are_normalized_by_the_backbone_itself():
    network = make_network().eval()
    images = torch.rand(2, 3, 33, 33) * 255
    expected = network.backbone.network((images - 100) / 50)[0]
    torch.testing.assert_close(network.feature_maps(images)[0], expected)
