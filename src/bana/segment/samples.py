"""Training samples of stage 3: crops with the labels of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bana.data.label_folder import LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.records import BoolArray, ClassTable, ImageRecord, IntArray, pixel_slices
from bana.data.truth import read_class_map
from bana.evaluate.boxes import box_labels
from bana.nn.crops import GRAY, RandomCrops
from bana.segment.settings import REGION_LOSSES, SegmentSettings


@dataclass(frozen=True)
class Batch:
    """Crops of one step.

    Attributes:
        images: float32 (N, 3, S, S) of RGB in 0..255.
        y_crf: int64 (N, S, S): class ids, or the ignore label.
        y_ret: int64 (N, S, S): the same; where there is a true mask, both are that.
        boxes: int64 (N, S, S): the class of the front box of every pixel, 0 outside all boxes.
        regions: bool (N, L + 1, S, S): where each class may be, that is in its boxes; the background may be anywhere.
            Where there is a true mask, a class may be where it is. Empty: the loss does not ask.
    """

    images: Tensor
    y_crf: Tensor
    y_ret: Tensor
    boxes: Tensor
    regions: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))


@dataclass(frozen=True)
class Targets:
    """Where the labels of images come from.

    Attributes:
        class_table: The data set's classes.
        labels: A folder that ``bana label`` wrote (None if every image has a true mask).
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
        self._with_regions = settings.loss in REGION_LOSSES

    def sample(self, record: ImageRecord) -> Batch:
        """A batch of one crop."""
        y_crf, y_ret = self._targets.of(record)
        maps = [y_crf, y_ret, box_labels(record, self._targets.class_table)]
        present = np.zeros(0, np.int64)
        if self._with_regions:
            has_truth = record.image_id in self._targets.masks
            present, regions = mask_regions(y_crf) if has_truth else box_regions(record)
            maps += [*regions]
        crop = self.crop(record, torch.stack([torch.from_numpy(each.astype("int32")) for each in maps]))
        found_crf, found_ret, boxes = crop.masks[:3].long()
        batch = Batch(crop.image[None].float(), found_crf[None], found_ret[None], boxes[None])
        if not self._with_regions:
            return batch
        every = torch.zeros(1, len(self._targets.class_table) + 1, *boxes.shape, dtype=torch.bool)
        known = present <= len(self._targets.class_table)  # a true mask has the ignore label too
        every[0, torch.from_numpy(present[known])] = crop.masks[3:][torch.from_numpy(known)] == 1
        return replace(batch, regions=every)


def box_regions(record: ImageRecord) -> tuple[IntArray, BoolArray]:
    """Where the background, which is anywhere, and every class with a box may be: ids (P,) and bool (P, H, W)."""
    usable = np.flatnonzero(~record.crowd)
    present = np.unique([0, *record.class_ids[usable]]).astype(np.int64)
    regions = np.zeros((len(present), record.height, record.width), dtype=bool)
    regions[0] = True
    for number in usable:
        row = int(np.searchsorted(present, record.class_ids[number]))
        regions[(row, *pixel_slices(record.boxes[number]))] = True
    return present, regions


def mask_regions(mask: LabelMap) -> tuple[IntArray, BoolArray]:
    """The pixels of every label of a true mask (H, W): labels (P,) and bool (P, H, W)."""
    present = np.unique(mask).astype(np.int64)
    return present, mask == present[:, None, None]


def collate(samples: Sequence[Batch]) -> Batch:
    """Make one batch of several."""
    return Batch(
        images=torch.cat([sample.images for sample in samples]),
        y_crf=torch.cat([sample.y_crf for sample in samples]),
        y_ret=torch.cat([sample.y_ret for sample in samples]),
        boxes=torch.cat([sample.boxes for sample in samples]),
        regions=torch.cat([sample.regions for sample in samples]),
    )
