"""torchvision's region proposals and RoI heads, taught by boxes and by labels that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.roi_heads import RoIHeads, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_area, box_iou, roi_align

from bana.instance.losses import MaskLoss, mask_confidence, mask_loss, pairwise_loss, projection_loss

Target = dict[str, Tensor]
"""Of one image: ``boxes`` float32 (K, 4) xyxy in its pixels; ``labels`` int64 (K,) in 1..L; bool (K, H, W) ``masks``
and where these are ``reliable`` or ``uncertain`` (some pixels are neither); ``ignored`` float32 (I, 4), boxes in which
nothing is known; for BoxInst ``lab`` float32 (3, H, W), the image's colors."""

_IGNORED = -1
_MIN_INSIDE = 0.5
_ONE_HALF = 0.5


def without_ignored(labels: Tensor, boxes: Tensor, ignored: Tensor) -> Tensor:
    """Labels (M,) of boxes (M, 4), those of background set to -1 where half the box lies in an ignored one (I, 4)."""
    if not len(ignored):
        return labels
    overlap = box_iou(boxes, ignored)
    areas = box_area(boxes)[:, None]
    shared = overlap * (areas + box_area(ignored)) / (1 + overlap)  # IoU = shared / (sum of areas - shared)
    inside = (shared / areas.clamp(min=1e-9)).amax(1) >= _MIN_INSIDE
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


@dataclass(frozen=True)
class MaskObjective:
    """What the mask head learns; see InstanceSettings."""

    mask_loss: MaskLoss = "reliable"
    gamma: float = 7.0
    lam: float = 0.1


class PseudoMaskRoIHeads(RoIHeads):  # type: ignore[misc]
    """RoI heads with a choice of mask losses, and to which proposals in ignored boxes are no background.

    torchvision's own mask branch stays as it is where the network predicts.

    Attributes:
        objective: What the mask head learns.
        pairwise_weight: Of BoxInst's pairwise loss, 0..1; training begins with less of it.
    """

    objective = MaskObjective()
    pairwise_weight = 1.0
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
            losses |= self._mask_losses(features, image_shapes, targets)
        return result, losses

    def _mask_losses(
        self, features: dict[str, Tensor], image_shapes: list[tuple[int, int]], targets: list[Target]
    ) -> dict[str, Tensor]:
        objects = [labels > 0 for labels in self._sampled[2]]
        boxes, matched, labels = (
            [values[each] for values, each in zip(part, objects, strict=True)] for part in self._sampled
        )
        hidden = self.mask_head(self.mask_roi_pool(features, boxes, image_shapes))
        shown: Tensor = self.mask_predictor.relu(self.mask_predictor.conv5_mask(hidden))
        logits: Tensor = self.mask_predictor.mask_fcn_logits(shown)
        if not len(logits):
            return {"loss_mask": logits.sum() * 0.0}
        numbers = torch.cat(labels)
        # In half precision the pixels of all objects could not even be counted.
        class_logits = logits[torch.arange(len(numbers), device=numbers.device), numbers].float()
        if self.objective.mask_loss == "boxinst":
            return self._boxinst_losses(class_logits, boxes, matched, targets)
        masks, reliable, uncertain = (
            _projected(name, targets, boxes, matched, class_logits.shape[-1])
            for name in ("masks", "reliable", "uncertain")
        )
        certain = (reliable >= _ONE_HALF).to(class_logits)
        uncertain = (uncertain > 0).to(class_logits) * (1 - certain)
        if self.objective.mask_loss == "all":
            return {"loss_mask": mask_loss(class_logits, masks, certain + uncertain)}
        loss = mask_loss(class_logits, masks, certain)
        if self.objective.mask_loss == "noise_aware":
            weights = self.mask_predictor.mask_fcn_logits.weight[numbers]
            cosine = F.cosine_similarity(shown.detach().float(), weights.detach().float(), dim=1)
            confidence = mask_confidence(cosine, masks, self.objective.gamma)
            loss = loss + self.objective.lam * mask_loss(class_logits, masks, confidence * uncertain)
        return {"loss_mask": loss}

    def _boxinst_losses(
        self, logits: Tensor, boxes: list[Tensor], matched: list[Tensor], targets: list[Target]
    ) -> dict[str, Tensor]:
        side = logits.shape[-1]
        object_boxes = torch.cat([target["boxes"][of] for target, of in zip(targets, matched, strict=True)])
        inside = box_cells(torch.cat(boxes), object_boxes, side)
        colors = torch.cat(
            [
                roi_align(target["lab"][None], [places], side, sampling_ratio=2, aligned=True)
                for target, places in zip(targets, boxes, strict=True)
            ]
        )
        return {
            "loss_projection": projection_loss(logits.sigmoid(), inside),
            "loss_pairwise": self.pairwise_weight * pairwise_loss(logits, colors, inside),
        }


def _projected(name: str, targets: list[Target], boxes: list[Tensor], matched: list[Tensor], side: int) -> Tensor:
    """Maps of the targets, cut and scaled to the proposals' boxes: (M, S, S) in 0..1."""
    maps = [
        project_masks_on_boxes(target[name], places, of, side)
        for target, places, of in zip(targets, boxes, matched, strict=True)
        if len(places)
    ]
    return torch.cat(maps)


def box_cells(proposals: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Which cells of an S by S grid on proposals (M, 4) have their center in the boxes (M, 4): bool (M, S, S)."""
    steps = (torch.arange(side, device=boxes.device) + 0.5) / side
    corner, extent = proposals[:, None, :2], (proposals[:, 2:] - proposals[:, :2])[:, None]
    centers = corner + steps[None, :, None] * extent  # (M, S, 2), x and y
    within = (centers >= boxes[:, None, :2]) & (centers < boxes[:, None, 2:])
    return within[:, :, 1, None] & within[:, None, :, 0]
