"""Training samples of a Mask R-CNN: crops with the boxes, classes and masks of their objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.ops import box_area

from bana.data.images import open_record_image
from bana.data.records import ImageRecord
from bana.data.transforms import random_crop, randomly_scaled
from bana.engine.plan import SampleKey
from bana.engine.seeds import seed_of
from bana.instance.heads import Target
from bana.instance.settings import InstanceSettings
from bana.instance.targets import ObjectTargets

MIN_VISIBLE = 0.3
"""A box of which a crop shows a smaller share is not learned, and is not background either."""

_GRAY = 127


@dataclass(frozen=True)
class Batch:
    """Crops of one step: images float32 (N, 3, S, S) of RGB in 0..255, and what is known of each."""

    images: Tensor
    targets: list[Target]


class InstanceCrops(Dataset[Batch]):
    """Random crops of images with one mask a box, for every (epoch, index) the same ones.

    Args:
        records: The images.
        targets: What is known of their objects.
        settings: Crop, scale and jitter.
        seed: Of the run.
    """

    def __init__(
        self, records: Sequence[ImageRecord], targets: ObjectTargets, settings: InstanceSettings, seed: int
    ) -> None:
        self._records = records
        self._targets = targets
        self._settings = settings
        self._seed = seed
        self._transform = random_crop(settings.crop_size, settings.color_jitter, image_fill=_GRAY, mask_fill=0)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey) -> Batch:
        """A batch of one crop."""
        epoch, index = key
        record = self._records[index]
        torch.manual_seed(seed_of(self._seed, "sample", epoch, index))
        image = tv_tensors.Image(torch.from_numpy(open_record_image(record)).permute(2, 0, 1))
        known = self._targets.of(record)
        planes = np.concatenate([known.masks, [known.reliable, known.uncertain]])
        maps = tv_tensors.Mask(torch.from_numpy(planes.astype(np.uint8)))
        boxes = tv_tensors.BoundingBoxes(
            torch.from_numpy(record.boxes), format="XYXY", canvas_size=(record.height, record.width)
        )
        scaled = randomly_scaled(self._settings.scale_of(record.height, record.width), image, maps, boxes)
        crop, cut, shown = self._transform(*scaled)
        shares = box_area(shown.as_subclass(Tensor)) / box_area(scaled[2].as_subclass(Tensor)).clamp(min=1e-9)
        learned = torch.from_numpy(known.learned) & (shares >= MIN_VISIBLE)
        target = _target(cut.as_subclass(Tensor).bool(), shown.as_subclass(Tensor).float(), learned, shares > 0)
        target["labels"] = torch.from_numpy(record.class_ids)[learned]
        return Batch(crop.as_subclass(Tensor)[None].float(), [target])


def collate(samples: Sequence[Batch]) -> Batch:
    """Make one batch of several."""
    return Batch(
        images=torch.cat([sample.images for sample in samples]),
        targets=[target for sample in samples for target in sample.targets],
    )


def _target(maps: Tensor, boxes: Tensor, learned: Tensor, visible: Tensor) -> Target:
    """All but the labels; a mask without a pixel, which teaches nothing, is neither reliable nor uncertain."""
    masks = maps[:-2][learned]
    has_mask = masks.flatten(1).any(1)[:, None, None]
    return {
        "boxes": boxes[learned],
        "masks": masks,
        "reliable": maps[-2] & has_mask,
        "uncertain": maps[-1] & has_mask,
        "ignored": boxes[~learned & visible],
    }
