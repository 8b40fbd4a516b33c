"""Training samples of the refiner: the windows of an image's boxes, and what its labels say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from bana.data.images import open_record_image
from bana.data.label_folder import LabeledBox, LabelFolder
from bana.data.masks import decode_mask
from bana.data.records import ClassTable, FloatArray, ImageRecord
from bana.engine.plan import SampleKey
from bana.engine.seeds import seed_of
from bana.nn.crops import GRAY
from bana.refine.occlusion import BoxedObject, Cutout, Picture, cut_out, occluded
from bana.refine.settings import RefineSettings
from bana.refine.synthetic import made_up_object, pasted
from bana.refine.targets import box_target, tight_box
from bana.refine.windows import cut_window, windows_of

_TIGHTER = 0.25
"""How much a loosened box may lose on one side, as a share of what it may gain: people cut into objects too."""

_GRAYSCALE = 0.1
"""The share of images shown without color."""

_LOOSENED = {False: 0.5, True: 0.1}
"""The share of boxes that are loosened, of those that are not shrunk and of those that are. People draw tight boxes
around small objects, and of a few pixels none may be lost."""

_CUTOUT_SIDES = (0.3, 1.0)
"""Longer side of what is pasted in front of an object, in longer sides of its box."""

_SYNTHETIC_SIDES = (0.15, 0.9)
"""Longer side of a synthetic object, in shorter sides of the image."""

_LEAST_SYNTHETIC = 24
"""Least longer side of a synthetic object, in pixels."""


@dataclass(frozen=True)
class Windows:
    """Windows of boxes: those of one image, or of a batch of images.

    Attributes:
        images: uint8 (N, 3, S, S).
        targets: uint8 (N, S, S), the share of a pixel that is the box's object, 255 for all of it.
        weights: uint8 (N, S, S), how sure that is, 255 for sure and 0 for unknown.
        boxes: float32 (N, 4) xyxy: the tight box in pixel-edge coordinates of the window.
    """

    images: Tensor
    targets: Tensor
    weights: Tensor
    boxes: Tensor


class BoxWindows:
    """The windows of an image's boxes; the same ones for the same (epoch, index).

    Args:
        records: The images.
        settings: How windows are cut and varied.
        seed: Random seed of the run.
        labels: Labels of these images.
    """

    def __init__(
        self, records: Sequence[ImageRecord], settings: RefineSettings, seed: int, labels: LabelFolder
    ) -> None:
        self._records = records
        self._settings = settings
        self._seed = seed
        self._labels = labels
        strength = settings.color_jitter
        self._color = v2.Compose([v2.ColorJitter(strength, strength, strength), v2.RandomGrayscale(_GRAYSCALE)])

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey) -> Windows:
        epoch, index = key
        torch.manual_seed(seed_of(self._seed, "sample", epoch, index))
        record = self._records[index]
        labeled = self._labels.boxes(record)
        numbers = usable_boxes(record, labeled, self._settings.min_side)
        drawn = [numbers[place] for place in torch.randperm(len(numbers))[: self._settings.boxes_per_image].tolist()]
        image = open_record_image(record)
        agreed = self._labels.label_map("agreed", record)
        boxes, ignore_index = inside_image(record), ClassTable(self._labels.classes).ignore_index
        others = self._settings.occlusion or self._settings.synthetic
        cutout = self._cutout() if others else None
        windows = []
        for number in drawn:
            boxed = None
            if cutout is not None and _chance(self._settings.synthetic):
                boxed = self._synthetic(image, cutout)
            if boxed is None:
                mask = decode_mask(labeled[number].mask, record.height, record.width)
                target = box_target(mask, agreed, boxes[number], int(record.class_ids[number]), ignore_index)
                boxed = BoxedObject(image, target, tight_box(mask, boxes[number]))
            if cutout is not None and _chance(self._settings.occlusion):
                boxed = _occluded(boxed, cutout)
            windows.append(self._window(boxed))
        return collate(windows)

    def _synthetic(self, image: Picture, cutout: Cutout) -> BoxedObject | None:
        """An object pasted into an image: the cutout or a made-up one."""
        height, width = image.shape[:2]
        side = max(round(_uniform(*_SYNTHETIC_SIDES) * min(height, width)), _LEAST_SYNTHETIC)
        if _chance(0.5):
            photograph = open_record_image(self._records[_whole(len(self._records))])
            cutout = made_up_object(np.random.default_rng(_whole(2**31)), side, photograph)
        return pasted(image, cutout, side, (_whole(height), _whole(width)))

    def _cutout(self) -> Cutout:
        """An object of any image."""
        record = self._records[_whole(len(self._records))]
        labeled = self._labels.boxes(record)
        numbers = usable_boxes(record, labeled, self._settings.min_side)
        mask = labeled[numbers[_whole(len(numbers))]].mask
        return cut_out(open_record_image(record), decode_mask(mask, record.height, record.width))

    def _window(self, boxed: BoxedObject) -> Windows:
        """The window of a box, at random loosened, shrunk, recolored and flipped."""
        image, target, box = boxed
        settings, side = self._settings, self._settings.crop_size
        shrunk = _chance(0.5)
        given = self._loosened(box, image.shape[1], image.shape[0]) if _chance(_LOOSENED[shrunk]) else box
        window = windows_of(given, settings.context)[0]
        picture = cut_window(image, window, side, GRAY)
        weight = cut_window(target.weight, window, side, 0)
        known = (target.target.astype(np.uint16) * target.weight // 255).astype(np.uint8)
        share = cut_window(known, window, side, 0) / np.maximum(weight, 1)
        tight = (np.tile(-window[:2], 2) + box) * (side / np.tile(window[2:] - window[:2], 2))
        if shrunk:
            picture = _shrunk(picture, _uniform(*settings.scale_range))
        sample = Windows(
            self._color(torch.from_numpy(picture.copy()).permute(2, 0, 1))[None],
            torch.from_numpy((255 * share.clip(0, 1)).round().astype(np.uint8))[None],
            torch.from_numpy(weight.copy())[None],
            torch.from_numpy(tight.astype(np.float32))[None],
        )
        return _flipped(sample) if _chance(0.5) else sample

    def _loosened(self, box: FloatArray, width: int, height: int) -> FloatArray:
        """A box whose sides have moved, most of them outwards, and which stays inside the image."""
        sides = np.tile(box[2:] - box[:2], 2)
        most = _uniform(0.0, 1.0)
        moved = torch.empty(4).uniform_(-_TIGHTER, 1.0).numpy() * self._settings.looseness * most * sides
        loosened: FloatArray = np.clip(box + moved * [-1, -1, 1, 1], 0, [width, height, width, height])
        return loosened


def inside_image(record: ImageRecord) -> FloatArray:
    """A record's boxes (K, 4), cut at the image's edges."""
    inside: FloatArray = np.clip(record.boxes, 0, [record.width, record.height, record.width, record.height])
    return inside


def usable_boxes(record: ImageRecord, labeled: Sequence[LabeledBox], min_side: float) -> list[int]:
    """The numbers of the boxes that are learned from: labeled, and large enough."""
    boxes = inside_image(record)
    sides = (boxes[:, 2:] - boxes[:, :2]).min(1)
    return [number for number, box in enumerate(labeled) if box.status == "ok" and sides[number] >= max(min_side, 1)]


def collate(samples: Sequence[Windows]) -> Windows:
    """Several windows as one batch."""
    return Windows(
        *(
            torch.cat([getattr(sample, name) for sample in samples])
            for name in ("images", "targets", "weights", "boxes")
        )
    )


def _shrunk(picture: npt.NDArray[np.uint8], factor: float) -> npt.NDArray[np.uint8]:
    """A picture that has lost the detail that a smaller one would not have."""
    side = picture.shape[0]
    small = max(round(side * factor), 8)
    image = Image.fromarray(picture).resize((small, small), Image.Resampling.BILINEAR)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def _flipped(sample: Windows) -> Windows:
    """The mirror image."""
    x0, y0, x1, y1 = sample.boxes.unbind(1)
    side = sample.images.shape[-1]
    return Windows(
        sample.images.flip(-1),
        sample.targets.flip(-1),
        sample.weights.flip(-1),
        torch.stack([side - x1, y0, side - x0, y1], 1),
    )


def _occluded(boxed: BoxedObject, cutout: Cutout) -> BoxedObject:
    """A box's object with a cutout somewhere in front of it, of 0.3 to 1 times the box's longer side."""
    x0, y0, x1, y1 = boxed.box.tolist()
    side = round(_uniform(*_CUTOUT_SIDES) * max(x1 - x0, y1 - y0))
    return occluded(boxed, cutout, max(side, 1), (round(_uniform(y0, y1)), round(_uniform(x0, x1))))


def _whole(below: int) -> int:
    return int(torch.randint(below, ()))


def _chance(probability: float) -> bool:
    return float(torch.rand(())) < probability


def _uniform(low: float, high: float) -> float:
    return float(torch.empty(()).uniform_(low, high))
