"""Training samples of stage 3: crops with the labels of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import LabelMap
from bana.data.records import ClassTable, ImageRecord
from bana.data.transforms import random_crop, randomly_scaled
from bana.data.truth import read_class_map
from bana.engine.plan import SampleKey
from bana.engine.seeds import seed_of
from bana.evaluate.boxes import box_labels
from bana.segment.settings import SegmentSettings

_GRAY = 127
"""Padding of images: about the mean of photographs, as DeepLab pads."""


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
        class_table: Of the data set.
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


class LabeledCrops(Dataset[Batch]):
    """Random crops of images with labels, for every (epoch, index) the same ones.

    Args:
        records: The images.
        targets: Their labels.
        settings: Crop, scale and jitter.
        seed: Of the run.
    """

    def __init__(self, records: Sequence[ImageRecord], targets: Targets, settings: SegmentSettings, seed: int) -> None:
        self._records = records
        self._targets = targets
        self._scale = settings.scale_range
        self._seed = seed
        ignore = targets.class_table.ignore_index
        self._transform = random_crop(settings.crop_size, settings.color_jitter, image_fill=_GRAY, mask_fill=ignore)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey) -> Batch:
        """A batch of one crop."""
        epoch, index = key
        record = self._records[index]
        torch.manual_seed(seed_of(self._seed, "sample", epoch, index))
        image = tv_tensors.Image(torch.from_numpy(open_record_image(record)).permute(2, 0, 1))
        maps = (*self._targets.of(record), box_labels(record, self._targets.class_table))
        masks = tv_tensors.Mask(torch.stack([torch.from_numpy(each.astype("int32")) for each in maps]))
        crop, cut = self._transform(*randomly_scaled(self._scale, image, masks))
        y_crf, y_ret, boxes = cut.as_subclass(Tensor).long()
        return Batch(crop.as_subclass(Tensor)[None].float(), y_crf[None], y_ret[None], boxes[None])


def collate(samples: Sequence[Batch]) -> Batch:
    """Make one batch of several."""
    return Batch(
        images=torch.cat([sample.images for sample in samples]),
        y_crf=torch.cat([sample.y_crf for sample in samples]),
        y_ret=torch.cat([sample.y_ret for sample in samples]),
        boxes=torch.cat([sample.boxes for sample in samples]),
    )
