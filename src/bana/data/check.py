"""What is in a data set, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.data.advice import Advice, advice_for
from bana.data.images import open_record_image
from bana.data.label_folder import labels_of
from bana.data.pixel_values import DATA_FILE
from bana.data.reading import read_with
from bana.data.records import MIN_BACKGROUND, BoxDataset, ImageRecord, box_sides
from bana.data.suspects import Suspect, suspects
from bana.data.tracks import track_keys
from bana.data.truth import instance_truth, semantic_truth
from bana.errors import DataError
from bana.io.faults import FaultLog, Note, Rejected

_BLACK, _WHITE = 20, 235
"""An image looks wrong if nearly all of its values, of 0..255, are below the first or above the second."""

Progress = Callable[[Sequence[ImageRecord]], Iterable[ImageRecord]]


@dataclass(frozen=True)
class ClassCount:
    """Objects of one class, and the images that show it."""

    name: str
    boxes: int
    images: int


@dataclass(frozen=True)
class CheckReport:
    """The contents of a data set and its faults.

    Attributes:
        dataset: What could be read, with notes of what was repaired, left out or looks wrong.
        faults: Every fault of every image, with its place and remedy.
        classes: Counts in the order of the class ids.
        box_sides: Quantiles 0, 0.25, 0.5, 0.75, 1 of the square root of the box area, in pixels; empty without boxes.
        image_sides: The same of the square root of the image area.
        background_share: The mean over images of the share of pixels outside all boxes, 0..1.
        without_boxes: Images without any box.
        all_covered: Images whose boxes cover every pixel.
        little_background: Images with less than 1/8 background, but some.
        masks: Objects with a mask of their own.
        label_maps: Images with a label map.
        suspects: Boxes that look wrong by the labels, if there are any.
        videos: Videos that images are frames of.
        tracks: Tracks, each counted within its video.
    """

    dataset: BoxDataset
    faults: tuple[Rejected, ...]
    classes: tuple[ClassCount, ...]
    box_sides: tuple[float, ...]
    image_sides: tuple[float, ...]
    background_share: float
    without_boxes: int
    all_covered: int
    little_background: int
    masks: int
    label_maps: int
    suspects: tuple[Suspect, ...] = ()
    videos: int = 0
    tracks: int = 0

    @property
    def boxes(self) -> int:
        """Boxes of all classes."""
        return sum(count.boxes for count in self.classes)

    @property
    def difficult(self) -> int:
        """Objects with VOC's flag."""
        return int(sum(record.difficult.sum() for record in self.dataset))

    @property
    def crowd(self) -> int:
        """Objects with COCO's flag."""
        return int(sum(record.crowd.sum() for record in self.dataset))

    @cached_property
    def advice(self) -> Advice | None:
        """The preset and the image side that suit the data set; None without boxes."""
        return advice_for(self.dataset)

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "path": str(self.dataset.root),
            "format": self.dataset.format,
            "split": self.dataset.split,
            "images": len(self.dataset),
            "boxes": self.boxes,
            "masks": self.masks,
            "label_maps": self.label_maps,
            "videos": self.videos,
            "tracks": self.tracks,
            "classes": {count.name: {"boxes": count.boxes, "images": count.images} for count in self.classes},
            "difficult": self.difficult,
            "crowd": self.crowd,
            "box_sides": list(self.box_sides),
            "image_sides": list(self.image_sides),
            "background_share": self.background_share,
            "images_without_boxes": self.without_boxes,
            "images_all_covered": self.all_covered,
            "images_with_little_background": self.little_background,
            "advice": None if self.advice is None else self.advice.as_dict(),
            "suspects": [asdict(suspect) for suspect in self.suspects],
            "notes": [asdict(note) for note in self.dataset.notes],
            "faults": [{"image_id": fault.image_id, "reason": fault.reason} for fault in self.faults],
        }


def check(
    path: Path,
    split: str | None = None,
    format: str | None = None,
    *,
    strict: bool = False,
    follow_links: bool = False,
    labels: Path | None = None,
    progress: Progress = iter,
) -> CheckReport:
    """Read a data set, open every image and mask, and count.

    Images with faults are not counted among the contents. That a data set has no boxes at all is a fault too.

    Args:
        path: The data set.
        split: Its split (default: the only one).
        format: Its format (default: detected).
        strict: Whether what can be repaired or left out is a fault of its image.
        follow_links: Whether images are read that symbolic links lead to outside the data set.
        labels: A folder that ``bana label`` wrote, to find boxes that look wrong.
        progress: Shows how far it is.

    Raises:
        DataError: If the data set as a whole cannot be read, or has no image at all.
        SettingsError: If ``format`` is not known.
    """
    faults = FaultLog("skip", strict=strict)
    dataset = read_with(faults, path, split, format, follow_links=follow_links)
    if not dataset.records and not faults.faults:
        raise DataError(f"{path}: has 0 images; check the path and the split")
    sound = []
    for record in progress(dataset.records):
        with faults.catch(record.image_id):
            faults.notes += _looks(record, open_record_image(record))
            semantic_truth(record, dataset.class_table)
            instance_truth(record)
        if not faults.has_fault(record.image_id):
            sound.append(record)
    found = tuple(faults.faults)
    if sound and not any(len(record) for record in sound):
        found += (Rejected("", f"{path}: has no boxes in {len(sound)} images; add annotations"),)
    report = counted(replace(dataset, notes=tuple(faults.notes)), sound, found)
    folder = labels_of(dataset, labels)
    return report if folder is None else replace(report, suspects=tuple(suspects(sound, folder)))


def counted(dataset: BoxDataset, sound: Sequence[ImageRecord], faults: tuple[Rejected, ...] = ()) -> CheckReport:
    """What is in the images of a data set in which no fault was found."""
    whole = replace(dataset, records=tuple(sound), rejected=())
    shares = np.array([record.background_share for record in sound])
    has_boxes = np.array([len(record) > 0 for record in sound], dtype=bool)
    sides = [box_sides(record.boxes) for record in sound]
    masks = sum(
        len(record) if record.instance_path else sum(each is not None for each in record.segmentations)
        for record in sound
    )
    return CheckReport(
        dataset=whole,
        faults=faults,
        classes=_class_counts(whole),
        box_sides=_quartiles(np.concatenate([*sides, np.empty(0)])),
        image_sides=_quartiles(np.array([np.sqrt(record.width * record.height) for record in sound])),
        background_share=float(shares.mean()) if len(shares) else 0.0,
        without_boxes=int((~has_boxes).sum()),
        all_covered=int((shares == 0).sum()),
        little_background=int(((shares > 0) & (shares < MIN_BACKGROUND)).sum()),
        masks=masks,
        label_maps=sum(record.semantic_path is not None for record in sound),
        videos=len({record.frame.video for record in sound if record.frame}),
        tracks=len({key for record in sound for key in track_keys(record) if key is not None}),
    )


def _looks(record: ImageRecord, image: npt.NDArray[np.uint8]) -> list[Note]:
    """What looks wrong with an image: one that is nearly black or white was most often read in the wrong range."""
    darkest, brightest = np.percentile(image[:: max(len(image) // 256, 1)], (1, 99))
    if darkest <= _WHITE and brightest >= _BLACK:
        return []
    what = (
        f"nearly {'black' if brightest < _BLACK else 'white'}: 98 % of its values are {darkest:.0f} to {brightest:.0f}"
    )
    remedy = f"if it shows something, say the range of its values in {DATA_FILE}, such as images: {{range: data}}"
    return [Note(record.image_id, "looks wrong", f"{record.path}: {what} of 255; {remedy}")]


def _class_counts(dataset: BoxDataset) -> tuple[ClassCount, ...]:
    boxes: Counter[int] = Counter()
    images: Counter[int] = Counter()
    for record in dataset:
        class_ids = record.class_ids.tolist()
        boxes.update(class_ids)
        images.update(set(class_ids))
    return tuple(
        ClassCount(name, boxes[number], images[number]) for number, name in enumerate(dataset.classes, start=1)
    )


def _quartiles(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, (0, 0.25, 0.5, 0.75, 1))) if len(values) else ()
