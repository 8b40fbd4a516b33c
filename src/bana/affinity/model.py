"""The affinity network: a backbone, and a head of 1x1 convolutions that gives the features of affinities."""

from __future__ import annotations

import torch
from torch import Tensor

from bana.affinity.settings import AffinitySettings
from bana.nn.backbones import Backbone
from bana.nn.heads import FusingHead
from bana.nn.network import Network
from bana.nn.network_file import NetworkFile


class AffinityNetwork(Network):
    """Images to features f_aff, whose L1 distances say what belongs together; it knows no classes.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        width: Channels of f_aff.
    """

    def __init__(self, backbone: Backbone, width: int) -> None:
        super().__init__(backbone, FusingHead(backbone.info.channels, width))
        self._width = width
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """f_aff (N, width, h, w) of images (N, 3, H, W) of RGB in 0..255.

        It is the head's map divided by ``width``: a new network's distances are then about 1, whatever the width.
        """
        return self.features(images) / self._width


def _create(backbone: Backbone, settings: AffinitySettings, classes: int) -> AffinityNetwork:
    return AffinityNetwork(backbone, settings.width)


AFFINITY = NetworkFile("affinity", ("affinity",), "bana affinity", "affinity", AffinitySettings, _create)
"""The file of a trained affinity network; ``bana affinity`` joins it to a labeler file too."""
