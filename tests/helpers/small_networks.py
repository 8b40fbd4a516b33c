"""Networks so small that tests compute with them in no time."""

from torch import nn

from bana.nn.backbones import Backbone, BackboneInfo


class Patches(nn.Module):
    """A backbone of one convolution at stride 8, whose cells' centers sit on pixels 0, 8, ..."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 6, 3, stride=8, padding=1)

    def forward(self, images):
        return [self.layer(images).relu()]


def small_backbone():
    """One map of 6 channels at stride 8."""
    return Backbone(Patches(), BackboneInfo((6,), (8,), (100.0,) * 3, (50.0,) * 3, "none", "none"))
