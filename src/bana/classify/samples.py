"""Training samples of stage 1: crops with boxes and the mask of definite background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.pooling import feature_boxes
from bana.classify.settings import ClassifySettings
from bana.data.label_folder import LabelFolder
from bana.data.records import ImageRecord, boxes_to_mask
from bana.nn.crops import RandomCrops

MIN_VISIBLE = 0.1
"""A box of which a crop shows a smaller share of its area is not background, but is not classified either."""

UNKNOWN = -1
"""The label of a pixel of which nothing is known."""


@dataclass(frozen=True)
class Sample:
    """One crop.

    Attributes:
        image: uint8 (3, S, S).
        background: float32 (1, S, S), 1 on definite background.
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the crop.
        class_ids: int64 (K,).
        image_classes: int64 (P,): the classes of the whole image, each once.
        labels: int64 (S, S): known classes of pixels, UNKNOWN elsewhere.
    """

    image: Tensor
    background: Tensor
    boxes: Tensor
    class_ids: Tensor
    image_classes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        images: float32 (N, 3, S, S) of RGB in 0..255.
        background: float32 (N, 1, S, S).
        boxes: float32 (K, 5): index into the batch, then xyxy in pixel-edge coordinates.
        class_ids: int64 (K,).
        image_classes: int64 (P, 2): index into the batch, and a class of that whole image.
        labels: int64 (N, S, S), UNKNOWN where no class is known.
    """

    images: Tensor
    background: Tensor
    boxes: Tensor
    class_ids: Tensor
    image_classes: Tensor
    labels: Tensor


class BoxCrops(RandomCrops[Sample]):
    """Random crops of images with boxes; the same one for the same (epoch, index).

    Args:
        records: The images.
        settings: Crop size, scale range and color jitter.
        seed: Random seed of the run.
        labels: Labels of these images, whose agreed pixels are learned too (default: boxes alone).
    """

    def __init__(
        self, records: Sequence[ImageRecord], settings: ClassifySettings, seed: int, labels: LabelFolder | None = None
    ) -> None:
        super().__init__(records, settings, seed, image_fill=0, mask_fill=0)
        self._labels = labels

    def sample(self, record: ImageRecord) -> Sample:
        """A crop of an image, with the boxes of which enough is visible."""
        boxes = np.concatenate([record.boxes, record.ignored])
        background = torch.from_numpy(~boxes_to_mask(boxes, record.height, record.width))
        crop = self.crop(record, torch.stack([background.int(), self._known_labels(record) + 1]))
        is_object = torch.from_numpy(~record.crowd)
        kept = is_object & (crop.visible >= MIN_VISIBLE)
        class_ids = torch.from_numpy(record.class_ids)
        return Sample(
            crop.image,
            crop.masks[:1].float(),
            crop.boxes[kept],
            class_ids[kept],
            torch.unique(class_ids[is_object]),
            crop.masks[1].long() - 1,
        )

    def _known_labels(self, record: ImageRecord) -> Tensor:
        """int32 (H, W): the agreed label of every pixel, UNKNOWN where there is none."""
        if self._labels is None:
            return torch.full((record.height, record.width), UNKNOWN, dtype=torch.int32)
        agreed = torch.from_numpy(self._labels.label_map("agreed", record).astype("int32"))
        return torch.where(agreed <= len(self._labels.classes), agreed, UNKNOWN)


def collate(samples: Sequence[Sample]) -> Batch:
    """Make a batch of samples."""
    boxes = [F.pad(sample.boxes, (1, 0), value=float(number)) for number, sample in enumerate(samples)]
    present = [F.pad(sample.image_classes[:, None], (1, 0), value=number) for number, sample in enumerate(samples)]
    return Batch(
        images=torch.stack([sample.image for sample in samples]).float(),
        background=torch.stack([sample.background for sample in samples]),
        boxes=torch.cat(boxes),
        class_ids=torch.cat([sample.class_ids for sample in samples]),
        image_classes=torch.cat(present),
        labels=torch.stack([sample.labels for sample in samples]),
    )


def resize_to_features(batch: Batch, feature_size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """A batch's background, boxes and labels on a feature map whose corner cells sit on the crop's corner pixels.

    Args:
        batch: Crops of S x S.
        feature_size: (h, w) in cells.

    Returns:
        Background (N, 1, h, w) and labels (N, h, w): the values of the pixel nearest to each cell's center; between
        them boxes (K, 5) for RoIAlign.
    """
    size = (batch.images.shape[2], batch.images.shape[3])
    rows, columns = (
        torch.linspace(0, pixels - 1, cells).round().long() for pixels, cells in zip(size, feature_size, strict=True)
    )
    background = batch.background[:, :, rows][:, :, :, columns]
    labels = batch.labels[:, rows][:, :, columns]
    return background, torch.cat([batch.boxes[:, :1], feature_boxes(batch.boxes[:, 1:], size, feature_size)], 1), labels
