"""Training samples of stage 3: crops with the labels of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bana.data.label_folder import LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.records import ClassTable, ImageRecord
from bana.data.truth import read_class_map
from bana.evaluate.boxes import box_labels
from bana.nn.crops import GRAY, RandomCrops
from bana.segment.settings import SegmentSettings


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        images: float32 (N, 3, S, S) of RGB in 0..255.
        y_crf: int64 (N, S, S): class ids, or the ignore label.
        y_ret: int64 (N, S, S): the same; where there is a true mask, both are that.
        boxes: int64 (N, S, S): the class of the front box of every pixel, 0 outside all boxes.
    """

    images: Tensor
    y_crf: Tensor
    y_ret: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Targets:
    """Where the labels of images come from.

    Attributes:
        class_table: The data set's classes.
        labels: A folder that ``bana label`` wrote; None: every image has a true mask.
        masks: True masks by image id; they stand in the place of labels.
    """

    class_table: ClassTable
    labels: LabelFolder | None
    masks: Mapping[str, Path]

    def of(self, record: ImageRecord) -> tuple[LabelMap, LabelMap]:
        """Y_crf and Y_ret (H, W).

        Raises:
            DataError: If a map is missing, damaged or of another size than the image, or a label is no class.
        """
        if record.image_id in self.masks:
            mask = read_class_map(self.masks[record.image_id], record, self.class_table)
            return mask, mask
        assert self.labels is not None
        return self.labels.label_map("y_crf", record), self.labels.label_map("y_ret", record)


class LabeledCrops(RandomCrops[Batch]):
    """Random crops of images with labels; the same one for the same (epoch, index).

    Args:
        records: The images.
        targets: Their labels.
        settings: Crop size, scale range and color jitter.
        seed: Random seed of the run.
    """

    def __init__(self, records: Sequence[ImageRecord], targets: Targets, settings: SegmentSettings, seed: int) -> None:
        super().__init__(records, settings, seed, image_fill=GRAY, mask_fill=targets.class_table.ignore_index)
        self._targets = targets

    def sample(self, record: ImageRecord) -> Batch:
        """A batch of one crop."""
        maps = (*self._targets.of(record), box_labels(record, self._targets.class_table))
        crop = self.crop(record, torch.stack([torch.from_numpy(each.astype("int32")) for each in maps]))
        y_crf, y_ret, boxes = crop.masks.long()
        return Batch(crop.image[None].float(), y_crf[None], y_ret[None], boxes[None])


def collate(samples: Sequence[Batch]) -> Batch:
    """Make one batch of several."""
    return Batch(
        images=torch.cat([sample.images for sample in samples]),
        y_crf=torch.cat([sample.y_crf for sample in samples]),
        y_ret=torch.cat([sample.y_ret for sample in samples]),
        boxes=torch.cat([sample.boxes for sample in samples]),
    )
