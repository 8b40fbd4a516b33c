"""Warm start: the masks of the last frame of a video help to label this one.

The last mask of an object is moved and scaled from its old box to its new one. It raises the log odds of the pixels
that it covers and lowers those of the others. Frames differ, and boxes are off by some pixels. So the moved mask is
blurred: it says little near its outline, and decides only where this frame alone is in doubt. ``benchmarks/tracks.py``
measures the effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from bana.data.label_folder import INSTANCES
from bana.data.masks import box_iou, decode_mask
from bana.data.records import BoolArray, FloatArray, ImageRecord, pixel_slices
from bana.data.videos import TrackId
from bana.errors import DataError
from bana.io.remote import AnyPath
from bana.io.strict_json import read_json_object
from bana.label.boxes import BoxedImage, LastMask, Place
from bana.refine.refiner import BoxProbability

BONUS = 1.0
"""Log odds that the middle of the moved mask adds, and that the middle of what is around it takes away."""

BLUR = 0.03
"""Standard deviation of the blur, as a share of the box's sides."""

MIN_IOU = 0.5
"""Least IoU of a box with the last one of its object for the last mask to count."""


class WrittenMask(NamedTuple):
    """A mask that was read from a folder of labels; see LastMask."""

    box: npt.NDArray[np.float32]
    part: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WarmProbability:
    """A box's probability with the last frame's mask beside it.

    Attributes:
        box: The probability by this frame alone.
        moved: uint8 (h, w), 255 where the moved mask is sure that the object is, and 0 that it is not.
    """

    box: BoxProbability
    moved: npt.NDArray[np.uint8]

    @property
    def place(self) -> Place:
        """The rows and columns of the box's pixels."""
        return self.box.place

    def at(self, place: Place) -> FloatArray:
        """The probabilities at some rows and columns of the image: float32 (h, w) in 0..1."""
        (rows, columns), (first_row, first_column) = place, (self.place[0].start, self.place[1].start)
        part = self.moved[rows.start - first_row : rows.stop - first_row]
        part = part[:, columns.start - first_column : columns.stop - first_column]
        probability = self.box.at(place)
        # p -> p f / (p f + 1 - p) adds log f to the log odds; 0 and 1, which are no opinions, stay.
        factor = np.exp(BONUS * (part.astype(np.float32) / 127.5 - 1))
        raised: FloatArray = probability * factor / (probability * factor + (1 - probability))
        return raised


def warm_boxes(boxed: BoxedImage, boxes: Sequence[BoxProbability]) -> list[BoxProbability]:
    """The probabilities of the usable boxes, with the last frame's masks beside them where there are some.

    Args:
        boxed: The image's boxes; ``boxed.last`` has the masks.
        boxes: The probabilities by this frame alone.
    """
    last = [boxed.last[number] for number in np.flatnonzero(boxed.usable)] if boxed.last else [None] * len(boxes)
    corners = boxed.boxes[boxed.usable]
    return [
        box if mask is None or not _is_near(mask, corner) else WarmProbability(box, moved_mask(mask.part, box.place))
        for box, mask, corner in zip(boxes, last, corners, strict=True)
    ]


def moved_mask(part: BoolArray, place: Place) -> npt.NDArray[np.uint8]:
    """A mask of the last box's pixels, bool (h, w), at the pixels of this one: uint8, 0 to 255, blurred."""
    size = (place[1].stop - place[1].start, place[0].stop - place[0].start)
    resized = Image.fromarray(part.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized.filter(ImageFilter.GaussianBlur((BLUR * size[0], BLUR * size[1]))))


def _is_near(mask: LastMask, box: FloatArray) -> bool:
    """Whether the object is where it was, and its mask says anything."""
    return bool(mask.part.any()) and box_iou(mask.box, box) >= MIN_IOU


@dataclass(frozen=True)
class LastFrame:
    """The frame before, whose labels are written.

    Attributes:
        out: The folder of labels.
        record: The frame.
        digest: What its labels depend on.
    """

    out: AnyPath
    record: ImageRecord
    digest: str

    def shares_tracks(self, record: ImageRecord) -> bool:
        """Whether an object of a frame is on this one too."""
        return bool(_tracks(self.record) & _tracks(record))

    def masks(self, record: ImageRecord) -> list[LastMask | None]:
        """The masks of the objects of a frame on this one: K, None for an object that is not on it.

        They are read from the folder, so that a run that goes on takes what one without a break takes.

        Raises:
            DataError: If the file is damaged.
        """
        file = self.out / INSTANCES / f"{self.record.image_id}.json"
        known: Mapping[TrackId | None, int] = {each: number for number, each in enumerate(self.record.track_ids)}
        try:
            entries = read_json_object(file)["instances"]
            return [
                None if track_id is None or track_id not in known else self._mask(entries[known[track_id]])
                for track_id in record.track_ids
            ]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"{file}: is damaged; remove it and run bana label again") from error

    def _mask(self, entry: dict[str, object]) -> LastMask:
        box = np.array(entry["box"], dtype=np.float32)
        mask = decode_mask(entry["segmentation"], self.record.height, self.record.width)  # type: ignore[arg-type]
        sides = np.array([self.record.width, self.record.height] * 2, dtype=np.float32)
        return WrittenMask(box, mask[pixel_slices(np.clip(box, 0, sides))])


def _tracks(record: ImageRecord) -> set[TrackId]:
    return {track_id for track_id in record.track_ids if track_id is not None}
