"""Reading the folder that ``bana label`` writes.

``labels.json`` names the classes; ``y_crf``, ``y_ret`` and ``agreed`` hold one label map an image,
``instances`` one JSON file an image with one entry an input box, in input order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bana.data.classes import manifest_of
from bana.data.label_maps import LabelMap
from bana.data.masks import checked_segmentation
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.truth import read_class_map
from bana.errors import DataError
from bana.io.outputs import intact
from bana.io.strict_json import read_json_object, value_of

MANIFEST = "labels.json"
"""The file that names the classes."""

LABELINGS = ("y_crf", "y_ret", "agreed")
"""The folders of label maps."""

INSTANCES = "instances"
"""The folder of one JSON file an image."""

_STATUSES = ("ok", "empty", "rejected")


@dataclass(frozen=True)
class LabeledBox:
    """What labeling gave one input box.

    Attributes:
        class_id: 1..L as it was given.
        status: ``ok``, ``empty`` (no pixel) or ``rejected`` (not labeled at all).
        confidence: 0..1.
        filling_rate: Share of the box's pixels that are its object, 0..1.
        predicted_class: 1..L, 0 for background, None where the classifier has no say.
        mask: COCO's RLE, ``{"size": [H, W], "counts": str}``.
        expected_iou: 0..1, the IoU that the mask is expected to have; None where nothing is expected.
    """

    class_id: int
    status: str
    confidence: float
    filling_rate: float
    predicted_class: int | None
    mask: dict[str, Any]
    expected_iou: float | None = None

    @property
    def score(self) -> float:
        """How sure the mask is, for ranking: its expected IoU, or its confidence where nothing is expected."""
        return self.confidence if self.expected_iou is None else self.expected_iou


class LabelFolder:
    """A folder of labels.

    Args:
        path: The folder.

    Attributes:
        path: The folder.
        classes: The L class names; ``classes[i]`` is class id ``i + 1``.
        labeling: A digest of the labeler, settings and classes that the labels come from.

    Raises:
        DataError: If the folder or its ``labels.json`` is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        content, self.classes = manifest_of(path, MANIFEST, "bana label")
        self.path = path
        self.labeling = str(content.get("labeling"))

    def check_classes(self, dataset: BoxDataset) -> None:
        """Raise DataError if the folder has other classes than the data set; names the first that differs."""
        dataset.require_classes(self.classes, self.path, "take the data set that was labeled")

    def has(self, image_id: str) -> bool:
        """Whether all files of an image are there."""
        files = [self._map_path(name, image_id) for name in LABELINGS]
        return all(file.is_file() for file in (*files, self._boxes_path(image_id)))

    def is_intact(self, image_id: str) -> bool:
        """Whether all files of an image are there as they were written."""
        return self.has(image_id) and intact(self.path, f"{INSTANCES}/{image_id}.json")

    def require(self, record: ImageRecord) -> None:
        """Raise DataError if a file of an image is not there."""
        if not self.has(record.image_id):
            raise DataError(f"{record.path}: image {record.image_id} has no labels; run bana label on it, or skip")

    def label_map(self, labeling: str, record: ImageRecord) -> LabelMap:
        """The class of every pixel, (H, W), under one of LABELINGS.

        Raises:
            DataError: If the file is missing, damaged or of another size than the image, or a label is no class.
        """
        return read_class_map(self._map_path(labeling, record.image_id), record, ClassTable(self.classes))

    def boxes(self, record: ImageRecord) -> tuple[LabeledBox, ...]:
        """What labeling gave each box of the image, in the record's order.

        Raises:
            DataError: If the file is missing or damaged, or its boxes are not the record's.
        """
        path = self._boxes_path(record.image_id)
        entries = value_of(read_json_object(path), "instances", list, str(path))
        boxes = tuple(
            _labeled_box(entry, record, f"{path}: instance {number}") for number, entry in enumerate(entries, start=1)
        )
        if [box.class_id for box in boxes] != record.class_ids.tolist():
            raise DataError(
                f"{path}: has {len(boxes)} boxes and image {record.image_id} has {len(record)}, or other classes; "
                "the annotation has changed since: run bana label again"
            )
        return boxes

    def _map_path(self, labeling: str, image_id: str) -> Path:
        return self.path / labeling / f"{image_id}.png"

    def _boxes_path(self, image_id: str) -> Path:
        return self.path / INSTANCES / f"{image_id}.json"


def labels_of(dataset: BoxDataset, path: Path | None) -> LabelFolder | None:
    """A folder of labels of a data set's classes; None where there is no path. Raises DataError as LabelFolder does."""
    if path is None:
        return None
    folder = LabelFolder(path)
    folder.check_classes(dataset)
    return folder


def labeled_part(dataset: BoxDataset, folder: LabelFolder) -> BoxDataset:
    """The images that have labels in a folder."""
    return replace(dataset, records=tuple(record for record in dataset if folder.has(record.image_id)))


def is_complete(path: Path, dataset: BoxDataset) -> bool:
    """Whether a folder has labels of every image of a data set, as they were written."""
    if not (path / MANIFEST).is_file():
        return False
    folder = LabelFolder(path)
    return all(folder.is_intact(record.image_id) for record in dataset)


def _labeled_box(entry: Any, record: ImageRecord, where: str) -> LabeledBox:
    status = value_of(entry, "status", str, where)
    if status not in _STATUSES:
        raise DataError(f"{where}: status {status!r} is none of {', '.join(_STATUSES)}; run bana label again")
    mask = checked_segmentation(entry.get("segmentation"), record.width, record.height, where)
    if not isinstance(mask, dict):
        raise DataError(f"{where}: 'segmentation' is no RLE; run bana label again")
    predicted = None if entry.get("predicted_class") is None else value_of(entry, "predicted_class", int, where)
    expected = None if entry.get("expected_iou") is None else float(value_of(entry, "expected_iou", float, where))
    confidence, filling_rate = (float(value_of(entry, name, float, where)) for name in ("confidence", "filling_rate"))
    return LabeledBox(
        value_of(entry, "class_id", int, where), status, confidence, filling_rate, predicted, mask, expected
    )
