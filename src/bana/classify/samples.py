"""Training samples of stage 1: crops with boxes and the mask of definite background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from bana.classify.pooling import feature_boxes
from bana.classify.settings import ClassifySettings
from bana.data.images import open_record_image
from bana.data.records import ImageRecord, covered
from bana.engine.loop import SampleKey
from bana.engine.seeds import seed_of

LEAST_VISIBLE = 0.1
"""A box of which a crop shows a smaller share of its area is not background, but is not classified either."""


@dataclass(frozen=True)
class Sample:
    """One crop.

    Attributes:
        image: uint8 (3, S, S).
        background: float32 (1, S, S), 1 on definite background.
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the crop.
        class_ids: int64 (K,).
    """

    image: Tensor
    background: Tensor
    boxes: Tensor
    class_ids: Tensor


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        images: float32 (N, 3, S, S) of RGB in 0..255.
        background: float32 (N, 1, S, S).
        boxes: float32 (K, 5): index into the batch, then xyxy in pixel-edge coordinates.
        class_ids: int64 (K,).
    """

    images: Tensor
    background: Tensor
    boxes: Tensor
    class_ids: Tensor


class BoxCrops(Dataset[Sample]):
    """Random crops of images with boxes, for every (epoch, index) the same ones.

    Args:
        records: The images.
        settings: Crop, scale and jitter.
        seed: Of the run.
    """

    def __init__(self, records: Sequence[ImageRecord], settings: ClassifySettings, seed: int) -> None:
        self._records = records
        self._settings = settings
        self._seed = seed
        jitter = settings.jitter
        self._transform = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomCrop(settings.crop, pad_if_needed=True, fill={tv_tensors.Mask: 0, "others": 0}),
                v2.ColorJitter(jitter, jitter, jitter),
            ]
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey) -> Sample:
        epoch, index = key
        record = self._records[index]
        torch.manual_seed(seed_of(self._seed, "sample", epoch, index))
        image = tv_tensors.Image(torch.from_numpy(open_record_image(record)).permute(2, 0, 1))
        outside = torch.from_numpy(~covered(record.boxes, record.height, record.width)).to(torch.uint8)
        objects = torch.from_numpy(record.boxes[~record.crowd])
        boxes = tv_tensors.BoundingBoxes(objects, format="XYXY", canvas_size=(record.height, record.width))  # type: ignore[call-overload]
        scaled = _scaled(image, tv_tensors.Mask(outside), boxes, self._settings.scale)
        crop, background, shown = self._transform(*scaled)
        class_ids = torch.from_numpy(record.class_ids[~record.crowd])
        kept = _areas(shown) >= LEAST_VISIBLE * _areas(scaled[2])
        return Sample(
            crop.as_subclass(Tensor),
            background.as_subclass(Tensor)[None].float(),
            shown.as_subclass(Tensor)[kept].float(),
            class_ids[kept],
        )


def collate(samples: Sequence[Sample]) -> Batch:
    """Make a batch of samples."""
    boxes = [F.pad(sample.boxes, (1, 0), value=float(number)) for number, sample in enumerate(samples)]
    return Batch(
        images=torch.stack([sample.image for sample in samples]).float(),
        background=torch.stack([sample.background for sample in samples]),
        boxes=torch.cat(boxes),
        class_ids=torch.cat([sample.class_ids for sample in samples]),
    )


def on_features(batch: Batch, feature_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A batch's background and boxes on a feature map whose corner cells sit on the crop's corner pixels.

    Args:
        batch: Crops of S x S.
        feature_size: (h, w) in cells.

    Returns:
        Background (N, 1, h, w): the value of the pixel nearest to each cell's centre; boxes (K, 5) for RoIAlign.
    """
    size = (batch.images.shape[2], batch.images.shape[3])
    rows, columns = (
        torch.linspace(0, pixels - 1, cells).round().long() for pixels, cells in zip(size, feature_size, strict=True)
    )
    background = batch.background[:, :, rows][:, :, :, columns]
    return background, torch.cat([batch.boxes[:, :1], feature_boxes(batch.boxes[:, 1:], size, feature_size)], 1)


def _scaled(image: Any, mask: Any, boxes: Any, scale: tuple[float, float]) -> tuple[Any, Any, Any]:
    factor = float(torch.empty(()).uniform_(*scale))
    height, width = (max(round(side * factor), 1) for side in image.shape[-2:])
    resize = v2.Resize([height, width], antialias=True)
    resized: tuple[Any, Any, Any] = resize(image, mask, boxes)
    return resized


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
