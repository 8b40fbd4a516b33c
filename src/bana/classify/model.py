"""The box classifier: a backbone, a head that fuses its feature maps, and one weight vector per class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bana.classify.settings import ClassifySettings
from bana.nn.backbones import Backbone
from bana.nn.heads import FusingHead
from bana.nn.initialization import LABELER_KIND
from bana.nn.network import Network
from bana.nn.network_file import NetworkFile


class BoxClassifier(Network):
    """Images to features f (Fig. 2), and features to scores of the background and L classes.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        classes: L.
        width: Channels of a FusingHead on the backbone's maps. Without it, f is the backbone's last map.
    """

    def __init__(self, backbone: Backbone, classes: int, width: int | None) -> None:
        super().__init__(backbone, FusingHead(backbone.info.channels, width) if width else None)
        self.dropout = nn.Dropout(0.0 if width else backbone.info.dropout)
        self.classifier = nn.Linear(width or backbone.info.channels[-1], classes + 1, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.train()

    @property
    def class_weights(self) -> Tensor:  # type: ignore[override]
        """w: (L + 1, C), the background's first."""
        return self.classifier.weight

    def scores(self, vectors: Tensor) -> Tensor:
        """Scores (..., L + 1) of features or means of features (..., C); in training some channels are left out."""
        found: Tensor = self.classifier(self.dropout(vectors))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Features f (N, C, h, w) of images (N, 3, H, W) of RGB in 0..255."""
        return self.features(images)


def _create(backbone: Backbone, settings: ClassifySettings, classes: int) -> BoxClassifier:
    return BoxClassifier(backbone, classes, settings.head_width)


LABELER = NetworkFile(
    LABELER_KIND.name, LABELER_KIND.folders, LABELER_KIND.command, "classify", ClassifySettings, _create
)
"""The labeler file: what training a box classifier leaves, and all that labeling needs."""
