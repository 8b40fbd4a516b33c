"""Reading results of instance segmentation in COCO's format: a JSON list with one entry for each predicted mask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, cast

from bana.data.formats.coco_entries import parse_bbox
from bana.data.masks import checked_segmentation
from bana.data.records import BoxDataset, ImageRecord
from bana.errors import DataError
from bana.evaluate.instances import Rle, ScoredMask
from bana.io.strict_json import is_number, json_list_entries, value_of

COCO = "coco"
"""The format of data sets whose numbers of images and categories the results give."""


class DetectionResults:
    """The results of a data set's images. The file is read entry by entry, and compressed masks are what is kept.

    ``image_id`` and ``category_id`` are the numbers of the COCO file if the data set is one; else the record's image id
    (text) and the class id 1..L.

    Args:
        path: The file: ``[{"image_id", "category_id", "score", "segmentation": RLE, "bbox": [x, y, w, h]}, ...]``; RLE
            with counts as a string or a list. ``bbox`` may be left out. If the first entry has one, the area of an
            object (which decides whether it is small, medium or large) is that of its bbox, as for pycocotools; else
            that of its mask.
        dataset: The data set.

    Raises:
        DataError: If the file cannot be read or is no JSON list; or an entry lacks a key, names an image or category
            that the data set does not have, or has a score that is not finite or an RLE that does not fit its image.
    """

    def __init__(self, path: str | PathLike[str], dataset: BoxDataset) -> None:
        self._of_image: defaultdict[str, list[_Detection]] = defaultdict(list)
        self._count = 0
        names = _Names.of(dataset)
        has_bbox = False
        for position, entry in enumerate(json_list_entries(Path(path))):
            where = f"{path}: entry {position}"
            record = names.image(entry, where)
            # pycocotools asks the first entry alone
            has_bbox = has_bbox if position else entry.get("bbox", []) != []
            detection = _detection(entry, record, names.class_id(entry, where), where, has_bbox=has_bbox)
            self._of_image[record.image_id].append(detection)
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def of(self, record: ImageRecord) -> list[ScoredMask]:
        """The predicted objects of an image, in the order of the file."""
        size = [record.height, record.width]
        return [
            ScoredMask(each.class_id, {"size": size, "counts": each.counts}, each.score, each.area)
            for each in self._of_image.get(record.image_id, ())
        ]


class _Detection(NamedTuple):
    """One entry: class id 1..L, score, compressed RLE's counts, and the bbox's area where that counts."""

    class_id: int
    score: float
    counts: str
    area: float | None


class _Names(NamedTuple):
    """How results name the images and classes of a data set; ``root`` is for messages."""

    root: Path
    images: Mapping[int | str, ImageRecord]
    class_ids: Mapping[int, int]

    @classmethod
    def of(cls, dataset: BoxDataset) -> _Names:
        numbers = range(1, len(dataset.classes) + 1)
        if dataset.format != COCO:
            images: dict[int | str, ImageRecord] = {record.image_id: record for record in dataset}
            return cls(dataset.root, images, dict(zip(numbers, numbers, strict=True)))
        images = {record.source_id: record for record in dataset if record.source_id is not None}
        return cls(dataset.root, images, dict(zip(dataset.class_table.source_ids, numbers, strict=True)))

    def image(self, entry: Any, where: str) -> ImageRecord:
        """The image of an entry."""
        kind = type(next(iter(self.images), 0))
        image_id = value_of(entry, "image_id", kind, where)
        if image_id not in self.images:
            raise DataError(
                f"{where}: image_id {image_id!r:.80} is none of the {len(self.images)} images of {self.root}; "
                "choose the --split that the results are of"
            )
        return self.images[image_id]

    def class_id(self, entry: Any, where: str) -> int:
        """The class id of an entry."""
        category = value_of(entry, "category_id", int, where)
        if category not in self.class_ids:
            known = ", ".join(map(str, list(self.class_ids)[:10])) + (", ..." if len(self.class_ids) > 10 else "")
            raise DataError(f"{where}: category_id {category} is no category of {self.root}; use its ids {known}")
        return self.class_ids[category]


def _detection(entry: Any, record: ImageRecord, class_id: int, where: str, *, has_bbox: bool) -> _Detection:
    if "score" in entry and not is_number(entry["score"]):
        raise DataError(f"{where}: score {entry['score']!r:.40} is not a finite number; correct it")
    score = float(value_of(entry, "score", float, where))
    if not isinstance(entry.get("segmentation"), dict):
        raise DataError(f'{where}: has no mask as RLE; give "segmentation": {{"size": [H, W], "counts": ...}}')
    mask = cast("Rle", checked_segmentation(entry["segmentation"], record.width, record.height, where))
    area = None
    if has_bbox:
        if "bbox" not in entry:
            raise DataError(f"{where}: has no bbox, but the first entry has one; give all a bbox, or none")
        _, _, width, height = parse_bbox(entry, where)
        area = float(width) * float(height)  # integers may be too large for a float together
    return _Detection(class_id, score, mask["counts"], area)
