"""Mask R-CNN on any backbone: a feature pyramid, region proposals, box and mask heads (He et al., 2017)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from bana.instance.heads import KnownProposals, MaskObjective, PseudoMaskRoIHeads, Target
from bana.instance.losses import lab
from bana.instance.settings import InstanceSettings
from bana.nn.backbones import Backbone
from bana.nn.network import Network
from bana.nn.network_file import NetworkFile

_ANCHORS = (4.0, 6.0)
"""Sides of anchors in cells of their level."""

_RATIOS = (0.5, 1.0, 2.0)


class InstanceNetwork(Network):
    """Images to objects: boxes, classes, scores and masks.

    Args:
        backbone: Its parameters are trained where they have ``requires_grad``; batch statistics stay frozen.
        width: Channels of the feature pyramid and of the mask head.
        classes: L.
        box_samples: Proposals an image that the box head learns from.
        objective: What the mask head learns.
        magnification: Factor on the size of images at which the network learned (default: 1).

    Attributes:
        magnification: As given.
    """

    def __init__(
        self,
        backbone: Backbone,
        width: int,
        classes: int,
        box_samples: int = 512,
        objective: MaskObjective | None = None,
        magnification: float = 1.0,
    ) -> None:
        super().__init__(backbone, None)
        self.magnification = magnification
        levels = [str(number) for number in range(len(backbone.info.strides))]
        strides = [*backbone.info.strides, 2 * backbone.info.strides[-1]]  # the pool's
        self.pyramid = FeaturePyramidNetwork(list(backbone.info.channels), width, LastLevelMaxPool())
        anchors = AnchorGenerator(
            tuple(tuple(round(stride * side) for side in _ANCHORS) for stride in strides), (_RATIOS,) * len(strides)
        )
        self.rpn = KnownProposals(
            anchors,
            RPNHead(width, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 2000, "testing": 1000},
            post_nms_top_n={"training": 1000, "testing": 1000},
            nms_thresh=0.7,
        )
        self.roi_heads = PseudoMaskRoIHeads(
            MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
            TwoMLPHead(width * 7 * 7, 1024),
            FastRCNNPredictor(1024, classes + 1),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=box_samples,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=0.05,
            nms_thresh=0.5,
            detections_per_img=100,
            mask_roi_pool=MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2),
            mask_head=MaskRCNNHeads(width, (width,) * 4, dilation=1),
            mask_predictor=MaskRCNNPredictor(width, width, classes + 1),
        )
        self.roi_heads.objective = objective or MaskObjective()
        self.to(memory_format=torch.channels_last)
        self.train()

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses of both stages, most by torchvision's names, of images (N, 3, H, W) of RGB in 0..255."""
        if self.roi_heads.objective.mask_loss == "boxinst":
            targets = [{**target, "lab": lab(image)} for target, image in zip(targets, images, strict=True)]
        return self._run(images, list(targets))[1]

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """Objects of images (N, 3, H, W) of RGB in 0..255.

        Returns:
            For each image ``boxes`` (D, 4) xyxy in its pixels, ``labels`` int64 (D,) in 1..L, ``scores`` (D,), best
            first, and ``masks`` (D, 1, 28, 28), probabilities inside the box.
        """
        return self._run(images, None)[0]

    def _run(self, images: Tensor, targets: list[Target] | None) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        feature_maps = self.feature_maps(images)
        pyramid = self.pyramid(OrderedDict((str(number), maps) for number, maps in enumerate(feature_maps)))
        size = (images.shape[2], images.shape[3])
        proposals, first = self.rpn(ImageList(images, [size] * len(images)), pyramid, targets)
        found, second = self.roi_heads(pyramid, proposals, [size] * len(images), targets)
        return found, {**first, **second}


def _create(backbone: Backbone, settings: InstanceSettings, classes: int) -> InstanceNetwork:
    objective = MaskObjective(settings.mask_loss, settings.gamma, settings.lam)
    magnification = settings.magnified if settings.image_side is None else 1.0
    return InstanceNetwork(backbone, settings.width, classes, settings.box_samples, objective, magnification)


DETECTOR = NetworkFile("detector", ("segment",), "bana segment --task instance", "instance", InstanceSettings, _create)
"""The detector file: what training a Mask R-CNN leaves, and all that prediction needs."""
