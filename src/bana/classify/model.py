"""The box classifier: a backbone, a head that fuses its feature maps, and one weight vector per class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bana.classify.settings import ClassifySettings
from bana.nn.backbones import Backbone
from bana.nn.heads import FusingHead
from bana.nn.initialization import LABELER_KIND
from bana.nn.network import Network, build_backbone, seeded
from bana.nn.network_file import NetworkFile


class BoxClassifier(Network):
    """Images to features f (Fig. 2), and features to scores of the background and L classes.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        classes: L.
        width: Channels of a FusingHead on the backbone's maps; None: f is the backbone's last map itself.
    """

    def __init__(self, backbone: Backbone, classes: int, width: int | None) -> None:
        super().__init__(backbone, FusingHead(backbone.info.channels, width) if width else None)
        self.classifier = nn.Linear(width or backbone.info.channels[-1], classes + 1, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.train()

    @property
    def class_weights(self) -> Tensor:  # type: ignore[override]
        """w: (L + 1, C), the background's first."""
        return self.classifier.weight

    def forward(self, images: Tensor) -> Tensor:
        """Features f (N, C, h, w) of images (N, 3, H, W) of RGB in 0..255."""
        return self.features(images)


def build_classifier(settings: ClassifySettings, classes: int, seed: int, weights: str | None = None) -> BoxClassifier:
    """A new classifier, the same one for the same seed.

    Args:
        settings: Backbone and head.
        classes: L.
        seed: Random seed of the new layers.
        weights: Backbone weights to use instead of those that the settings name.

    Raises:
        SettingsError: If the backbone or its weights cannot be had.
    """
    with seeded(seed):
        return BoxClassifier(build_backbone(settings, weights), classes, settings.head_width)


LABELER = NetworkFile(
    LABELER_KIND.name, LABELER_KIND.folder, LABELER_KIND.command, "classify", ClassifySettings, build_classifier
)
"""The labeler file: what training a box classifier leaves, and all that labeling needs."""
