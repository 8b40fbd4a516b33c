"""Training samples of a Mask R-CNN: crops with the boxes, classes and masks of their objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bana.data.records import ImageRecord
from bana.instance.heads import Target
from bana.instance.settings import InstanceSettings
from bana.instance.targets import ObjectTargets
from bana.nn.crops import GRAY, RandomCrops

MIN_VISIBLE = 0.3
"""A box of which a crop shows a smaller share is not learned, and is not background either."""


@dataclass(frozen=True)
class Batch:
    """Crops of one step: images float32 (N, 3, S, S) of RGB in 0..255, and what is known of each."""

    images: Tensor
    targets: list[Target]


class InstanceCrops(RandomCrops[Batch]):
    """Random crops of images with one mask per box; the same one for the same (epoch, index).

    Args:
        records: The images.
        targets: What is known of their objects.
        settings: Crop size, scale range and color jitter.
        seed: Random seed of the run.
    """

    def __init__(
        self, records: Sequence[ImageRecord], targets: ObjectTargets, settings: InstanceSettings, seed: int
    ) -> None:
        super().__init__(records, settings, seed, image_fill=GRAY, mask_fill=0)
        self._targets = targets

    def sample(self, record: ImageRecord) -> Batch:
        """A batch of one crop."""
        known = self._targets.of(record)
        planes = np.concatenate([known.masks, [known.reliable, known.uncertain]])
        crop = self.crop(record, torch.from_numpy(planes.astype(np.uint8)))
        learned = torch.from_numpy(known.learned) & (crop.visible >= MIN_VISIBLE)
        target = _target(crop.masks.bool(), crop.boxes, learned, crop.visible > 0)
        target["labels"] = torch.from_numpy(record.class_ids)[learned]
        return Batch(crop.image[None].float(), [target])


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
