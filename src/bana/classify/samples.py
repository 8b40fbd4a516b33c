"""Training samples of stage 1: crops with boxes and the mask of definite background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.ops import box_area

from bana.classify.pooling import feature_boxes
from bana.classify.settings import ClassifySettings
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.records import ImageRecord, boxes_to_mask
from bana.data.transforms import random_crop, randomly_scaled
from bana.engine.plan import SampleKey
from bana.engine.seeds import seed_of

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


class BoxCrops(Dataset[Sample]):
    """Random crops of images with boxes, for every (epoch, index) the same ones.

    Args:
        records: The images.
        settings: Crop, scale and jitter.
        seed: Of the run.
        labels: Labels of these images, of which the agreed pixels are learned too; None: boxes alone.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        settings: ClassifySettings,
        seed: int,
        labels: LabelFolder | None = None,
    ) -> None:
        self._records = records
        self._labels = labels
        self._settings = settings
        self._seed = seed
        self._transform = random_crop(settings.crop_size, settings.color_jitter, image_fill=0, mask_fill=0)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey) -> Sample:
        epoch, index = key
        record = self._records[index]
        torch.manual_seed(seed_of(self._seed, "sample", epoch, index))
        image = tv_tensors.Image(torch.from_numpy(open_record_image(record)).permute(2, 0, 1))
        background_mask = torch.from_numpy(~boxes_to_mask(record.boxes, record.height, record.width))
        masks = tv_tensors.Mask(torch.stack([background_mask.int(), self._known_labels(record) + 1]))
        objects = torch.from_numpy(record.boxes[~record.crowd])
        boxes = tv_tensors.BoundingBoxes(objects, format="XYXY", canvas_size=(record.height, record.width))
        scaled = randomly_scaled(self._settings.scale_of(record.height, record.width), image, masks, boxes)
        crop, (background, labels), shown = self._transform(*scaled)
        class_ids = torch.from_numpy(record.class_ids[~record.crowd])
        kept = box_area(shown) >= MIN_VISIBLE * box_area(scaled[2])
        return Sample(
            crop.as_subclass(Tensor),
            background.as_subclass(Tensor)[None].float(),
            shown.as_subclass(Tensor)[kept].float(),
            class_ids[kept],
            torch.from_numpy(np.unique(record.class_ids[~record.crowd])),
            labels.as_subclass(Tensor).long() - 1,
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


def on_features(batch: Batch, feature_size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
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
