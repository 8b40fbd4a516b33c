"""Training samples that are random crops of images, with the masks and boxes that lie on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import box_area

from bana.data.images import open_record_image
from bana.data.records import ImageRecord
from bana.data.transforms import random_crop, randomly_scaled
from bana.engine.plan import SampleKey
from bana.engine.seeds import seed_of
from bana.nn.settings import TrainingSettings

GRAY = 127
"""Padding of images: about the mean of photographs, as DeepLab pads."""

Sample = TypeVar("Sample")


class Crop(NamedTuple):
    """A random crop.

    Attributes:
        image: uint8 (3, S, S).
        masks: (M, S, S), of the type that they had.
        boxes: float32 (K, 4) xyxy in pixel-edge coordinates of the crop, cut at its borders.
        visible: float32 (K,): the share of each box's area that the crop shows, 0..1.
    """

    image: Tensor
    masks: Tensor
    boxes: Tensor
    visible: Tensor


class RandomCrops(ABC, Generic[Sample]):
    """Random crops of images; the same one for the same (epoch, index).

    Args:
        records: The images.
        settings: Crop size, scale range and color jitter.
        seed: Random seed of the run.
        image_fill: Padding of images, 0..255.
        mask_fill: Padding of masks.
    """

    def __init__(
        self, records: Sequence[ImageRecord], settings: TrainingSettings, seed: int, *, image_fill: int, mask_fill: int
    ) -> None:
        self._records = records
        self._settings = settings
        self._seed = seed
        self._transform: Any = random_crop(
            settings.crop_size, settings.color_jitter, image_fill=image_fill, mask_fill=mask_fill
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey) -> Sample:
        epoch, index = key
        torch.manual_seed(seed_of(self._seed, "sample", epoch, index))
        return self.sample(self._records[index])

    @abstractmethod
    def sample(self, record: ImageRecord) -> Sample:
        """A sample of an image; what is random in it comes from torch's global generator."""

    def crop(self, record: ImageRecord, masks: Tensor) -> Crop:
        """Scale, flip and cut an image, its boxes, and masks (M, H, W) that lie on it, all alike."""
        image = tv_tensors.Image(torch.from_numpy(open_record_image(record)).permute(2, 0, 1))
        boxes = tv_tensors.BoundingBoxes(
            torch.from_numpy(record.boxes), format="XYXY", canvas_size=(record.height, record.width)
        )
        scale_range = self._settings.scale_of(record.height, record.width)
        scaled = randomly_scaled(scale_range, image, tv_tensors.Mask(masks), boxes)
        cut_image, cut_masks, cut_boxes = (each.as_subclass(Tensor) for each in self._transform(*scaled))
        visible = box_area(cut_boxes) / box_area(scaled[2].as_subclass(Tensor)).clamp(min=1e-9)
        return Crop(cut_image, cut_masks, cut_boxes.float(), visible)
