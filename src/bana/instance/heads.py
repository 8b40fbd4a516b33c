"""torchvision's region proposals and RoI heads, where unreliable pixels and crowds count for nothing."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_area, box_iou

Target = dict[str, Tensor]
"""Of one image: ``boxes`` float32 (K, 4) xyxy in its pixels, ``labels`` int64 (K,) in 1..L, ``masks`` and ``reliable``
bool (K, H, W), and ``ignored`` float32 (I, 4), boxes in which nothing is known."""

_IGNORED = -1
_LEAST_INSIDE = 0.5


def reliable_mask_loss(logits: Tensor, labels: Tensor, masks: Tensor, reliable: Tensor) -> Tensor:
    """Binary cross-entropy of each object's mask, over its reliable pixels alone (paper 4.3).

    Args:
        logits: (M, L + 1, S, S), one map a class.
        labels: int64 (M,), the classes whose maps are learnt.
        masks: (M, S, S) in 0..1.
        reliable: (M, S, S) in 0..1; a pixel counts from one half on.

    Returns:
        Scalar; 0 where nothing is reliable.
    """
    own = logits[torch.arange(len(labels), device=labels.device), labels]
    counted = (reliable >= 0.5).to(own)
    losses = F.binary_cross_entropy_with_logits(own, masks.to(own), reduction="none")
    return (losses * counted).sum() / counted.sum().clamp(min=1)


def without_ignored(labels: Tensor, boxes: Tensor, ignored: Tensor) -> Tensor:
    """Labels (M,) of boxes (M, 4), those of background set to -1 where half the box lies in an ignored one (I, 4)."""
    if not len(ignored):
        return labels
    overlap = box_iou(boxes, ignored)
    areas = box_area(boxes)[:, None]
    shared = overlap * (areas + box_area(ignored)) / (1 + overlap)  # IoU = shared / (sum of areas - shared)
    inside = (shared / areas.clamp(min=1e-9)).amax(1) >= _LEAST_INSIDE
    return torch.where((labels == 0) & inside, _IGNORED, labels)


class KnownProposals(RegionProposalNetwork):  # type: ignore[misc]
    """A region proposal network to which anchors in ignored boxes are no background."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[Target]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As torchvision's, with -1 for what is not known."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        known = [
            without_ignored(each, places, target["ignored"])
            for each, places, target in zip(labels, anchors, targets, strict=True)
        ]
        return known, boxes


class ReliableRoIHeads(RoIHeads):  # type: ignore[misc]
    """RoI heads whose mask loss is taken on reliable pixels, and to which proposals in ignored boxes are no background.

    torchvision's own mask branch stays as it is where the network predicts.
    """

    _ignored: list[Tensor]
    _sampled: tuple[list[Tensor], list[Tensor], list[Tensor]]

    def has_mask(self) -> bool:
        """Whether torchvision's own mask branch runs."""
        return not self.training and super().has_mask()

    def select_training_samples(self, proposals: list[Tensor], targets: list[Target]) -> tuple[Any, ...]:
        """As torchvision's; what it gives is kept for the mask branch."""
        self._ignored = [target["ignored"] for target in targets]
        sampled: tuple[Any, ...] = super().select_training_samples(proposals, targets)
        self._sampled = (sampled[0], sampled[1], sampled[2])
        return sampled

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As torchvision's, with -1 for what is not known."""
        matched, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        return matched, [
            without_ignored(each, boxes, ignored)
            for each, boxes, ignored in zip(labels, proposals, self._ignored, strict=True)
        ]

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[Target] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """As torchvision's."""
        result, losses = super().forward(features, proposals, image_shapes, targets)
        if self.training:
            assert targets is not None
            losses["loss_mask"] = self._mask_loss(features, image_shapes, targets)
        return result, losses

    def _mask_loss(
        self, features: dict[str, Tensor], image_shapes: list[tuple[int, int]], targets: list[Target]
    ) -> Tensor:
        objects = [labels > 0 for labels in self._sampled[2]]
        boxes, matched, labels = (
            [values[each] for values, each in zip(part, objects, strict=True)] for part in self._sampled
        )
        logits: Tensor = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        if not len(logits):
            return logits.sum() * 0.0
        masks, reliable = (
            torch.cat(
                [
                    project_masks_on_boxes(target[name], places, numbers, logits.shape[-1])
                    for target, places, numbers in zip(targets, boxes, matched, strict=True)
                    if len(places)
                ]
            )
            for name in ("masks", "reliable")
        )
        return reliable_mask_loss(logits, torch.cat(labels), masks, reliable)
