"""Training samples of the affinity network: crops with the classes of their reliable pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bana.affinity.losses import UNKNOWN
from bana.affinity.settings import AffinitySettings
from bana.data.label_folder import LabelFolder
from bana.data.records import ImageRecord
from bana.nn.crops import GRAY, RandomCrops


@dataclass(frozen=True)
class LabeledCrops:
    """Crops: one, or those of a batch.

    Attributes:
        images: uint8 (N, 3, S, S).
        labels: int64 (N, S, S): classes of pixels, UNKNOWN where a pixel is neutral.
    """

    images: Tensor
    labels: Tensor


class ReliableCrops(RandomCrops[LabeledCrops]):
    """Random crops of images with labels; the same one for the same (epoch, index).

    Args:
        records: The images.
        settings: Crop size, scale range and color jitter.
        seed: Random seed of the run.
        labels: Labels of these images; a pixel is reliable where they agree.
    """

    def __init__(
        self, records: Sequence[ImageRecord], settings: AffinitySettings, seed: int, labels: LabelFolder
    ) -> None:
        super().__init__(records, settings, seed, image_fill=GRAY, mask_fill=0)
        self._labels = labels

    def sample(self, record: ImageRecord) -> LabeledCrops:
        """A crop of an image; what lies outside the image is neutral."""
        agreed = torch.from_numpy(self._labels.label_map("agreed", record).astype(np.int32))
        known = torch.where(agreed <= len(self._labels.classes), agreed, UNKNOWN)
        crop = self.crop(record, (known - UNKNOWN)[None])  # 0, the fill, is UNKNOWN
        return LabeledCrops(crop.image[None], crop.masks.long() + UNKNOWN)


def collate(samples: Sequence[LabeledCrops]) -> LabeledCrops:
    """Several crops as one batch."""
    return LabeledCrops(
        torch.cat([sample.images for sample in samples]), torch.cat([sample.labels for sample in samples])
    )


def cell_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels of cells (N, h, w), each the nearest pixel's: the map's corners sit on the corners of labels (N, S, S)."""
    rows, columns = (
        torch.linspace(0, pixels - 1, cells).round().long()
        for pixels, cells in zip(labels.shape[1:], size, strict=True)
    )
    return labels[:, rows][:, :, columns]
