"""The segmentation network: a backbone, a head, and a classifier by cosines."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bana.nn.backbones import Backbone
from bana.nn.heads import ASPP, FusingHead
from bana.nn.network import Network
from bana.nn.network_file import NetworkFile
from bana.segment.settings import BRANCH_LOSSES, SegmentSettings


class SegmentationNetwork(Network):
    """Images to cosines of the background and L classes with every cell's feature.

    DeepLab-V1 is the backbone ``vgg16`` without a head; DeepLab-V2 is ``resnet101`` with an ASPP head.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        head: Fuses the backbone's maps into the features phi. Without it, phi is the backbone's last map.
        width: Channels of phi.
        classes: L.
        branch: Whether one more map is predicted for each of the L classes (default: no).
        masked: Whether the branch's maps mask the features of their classes (default: no).
        magnification: Factor on the size of images at which the network learned (default: 1).

    Attributes:
        class_weights: W: (L + 1, width), the background's first.
        branch: A 1x1 convolution from phi to L logits, or None.
        magnification: As given.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module | None,
        width: int,
        classes: int,
        *,
        branch: bool = False,
        masked: bool = False,
        magnification: float = 1.0,
    ) -> None:
        super().__init__(backbone, head)
        self.magnification = magnification
        self.dropout = nn.Dropout(backbone.info.dropout if head is None else 0.0)
        self.class_weights = nn.Parameter(torch.randn(classes + 1, width) * 0.01)
        self.branch = nn.Conv2d(width, classes, 1) if branch or masked else None
        self._masked = masked
        if self.branch is not None:
            nn.init.normal_(self.branch.weight, std=0.01)
            nn.init.zeros_(self.branch.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Cosines (N, L + 1, h, w) in [-1, 1] of images (N, 3, H, W) of RGB in 0..255: phi . W_c / (|phi| |W_c|)."""
        return self.with_branch(images)[0]

    def with_branch(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cosines as ``forward`` gives them, and the branch's logits (N, L, h, w), if there is a branch.

        A masked network multiplies phi / |phi| by the sigmoid of a class's logit before it meets the class's weights,
        which is to multiply the cosine. The background has no mask.
        """
        features = self.dropout(self.features(images).float())
        with torch.autocast(features.device.type, enabled=False):  # times 20, bfloat16 would be wrong by a tenth
            weights = F.normalize(self.class_weights, dim=1)
            cosine = F.conv2d(F.normalize(features, dim=1), weights[:, :, None, None])
            if self.branch is None:
                return cosine, None
            logits: Tensor = self.branch(features)
            if self._masked:
                cosine = torch.cat([cosine[:, :1], cosine[:, 1:] * logits.sigmoid()], 1)
            return cosine, logits


def upsampled(cosine: Tensor, size: tuple[int, int]) -> Tensor:
    """Cosines (N, C, h, w) at label size (H, W), corners on corners."""
    return F.interpolate(cosine, size, mode="bilinear", align_corners=True)


def _create(backbone: Backbone, settings: SegmentSettings, classes: int) -> SegmentationNetwork:
    channels = backbone.info.channels
    head, width = _head(settings, channels), channels[-1] if settings.head == "none" else settings.head_width
    return SegmentationNetwork(
        backbone,
        head,
        width,
        classes,
        branch=settings.loss in BRANCH_LOSSES,
        masked=settings.loss == "box_masking",
        magnification=settings.magnified,
    )


def _head(settings: SegmentSettings, channels: tuple[int, ...]) -> nn.Module | None:
    """What the settings put on a backbone whose maps have these channels."""
    match settings.head:
        case "none":
            return None
        case "aspp":
            return ASPP(channels, settings.head_width)
        case "fuse":
            return FusingHead(channels, settings.head_width)


SEGMENTER = NetworkFile("segmenter", ("segment",), "bana segment", "segment", SegmentSettings, _create)
"""The segmenter file: what stage 3 leaves, and all that prediction needs."""
