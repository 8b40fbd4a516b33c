"""Reading results of instance segmentation: COCO's list with an entry for each predicted mask, or its annotations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, cast

from bana.data.classes import class_id_of
from bana.data.formats.coco_entries import id_of, parse_bbox
from bana.data.images import SUFFIXES
from bana.data.masks import checked_segmentation, decode_mask, encode_mask
from bana.data.paths import id_of_name, last_part
from bana.data.records import BoxDataset, ImageRecord
from bana.errors import DataError
from bana.evaluate.instances import Rle, ScoredMask
from bana.io.strict_json import head_keys, is_number, json_list_entries, read_json_object, value_of

COCO = "coco"
"""The format of data sets whose numbers of images and categories the results give."""

_ANNOTATION_KEYS = {"images", "annotations", "categories"}


class DetectionResults:
    """The results of a data set's images. The file is read entry by entry, and compressed masks are what is kept.

    Numbers in ``image_id`` and ``category_id`` are those of the COCO file, if the data set is one. An ``image_id`` that
    is text is the image's file name, with or without suffix and folder; ``category_id`` then is the class id 1..L.

    Args:
        path: The file: ``[{"image_id", "category_id", "score", "segmentation": RLE, "bbox": [x, y, w, h]}, ...]``; RLE
            with counts as a string or a list. ``bbox`` may be left out. If the first entry has one, the area of an
            object (which decides whether it is small, medium or large) is that of its bbox, as for pycocotools; else
            that of its mask. Or a COCO annotation file, whose images and categories go by their names: its crowd
            regions and objects without a mask are left out, and an object without a score has the score 1.
        dataset: The data set.

    Raises:
        DataError: If the file cannot be read or is neither; or an entry lacks a key, names an image or category that
            the data set does not have, or has a score that is not finite or an RLE that does not fit its image.
    """

    def __init__(self, path: str | PathLike[str], dataset: BoxDataset) -> None:
        self._of_image: defaultdict[str, list[_Detection]] = defaultdict(list)
        self._count = 0
        file = Path(path)
        annotated = not _ANNOTATION_KEYS.isdisjoint(head_keys(file))
        content = read_json_object(file) if annotated else {}
        names = _Names.of_file(content, dataset, file) if annotated else _Names.of(dataset)
        entries = value_of(content, "annotations", list, str(file)) if annotated else json_list_entries(file)
        has_bbox = False
        for position, entry in enumerate(entries):
            where = f"{path}: entry {position}"
            record, class_id = names.find(entry, where)
            result = _as_result(entry, record, where) if annotated else entry
            if result is None:
                continue
            # pycocotools asks the first entry alone
            has_bbox = has_bbox if position else result.get("bbox", []) != []
            detection = _detection(result, record, class_id, where, has_bbox=has_bbox)
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


@dataclass(frozen=True)
class _Names:
    """How results name the images and classes of a data set.

    Attributes:
        root: The data set's, for messages.
        numbered: The images by their numbers, if they have any.
        categories: Class ids by category, for images that are named by numbers.
        named: The images by their names.
        counted: Class ids 1..L, for images that are named by text.
        given: The text that each image was named by.
    """

    root: Path
    numbered: Mapping[int | str, ImageRecord]
    categories: Mapping[int, int]
    named: Mapping[str, ImageRecord]
    counted: Mapping[int, int]
    given: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: BoxDataset) -> _Names:
        """The names in a results file."""
        numbers = range(1, len(dataset.classes) + 1)
        numbered = {record.source_id: record for record in dataset if record.source_id is not None}
        categories = dict(zip(dataset.class_table.source_ids, numbers, strict=True))
        counted = dict(zip(numbers, numbers, strict=True))
        return cls(dataset.root, numbered if dataset.format == COCO else {}, categories, _by_name(dataset), counted)

    @classmethod
    def of_file(cls, content: dict[str, Any], dataset: BoxDataset, file: Path) -> _Names:
        """The names in a COCO annotation file, which says what its numbers are."""
        names = cls(dataset.root, {}, {}, _by_name(dataset), {})
        numbered: dict[int | str, ImageRecord] = {}
        for index, image in enumerate(value_of(content, "images", list, str(file))):
            where = f"{file}: images[{index}]"
            numbered[id_of(image, "id", where)] = names.image(value_of(image, "file_name", str, where), where)
        categories = {}
        for index, category in enumerate(value_of(content, "categories", list, str(file))):
            where = f"{file}: categories[{index}]"
            name, number = value_of(category, "name", str, where), value_of(category, "id", int, where)
            categories[number] = class_id_of(name, dataset.class_table, where)
        return replace(names, numbered=numbered, categories=categories)

    def find(self, entry: Any, where: str) -> tuple[ImageRecord, int]:
        """The image of an entry, and its class id."""
        is_text = isinstance(entry, dict) and isinstance(entry.get("image_id"), str)
        image_id = value_of(entry, "image_id", str if is_text or not self.numbered else int, where)
        category = value_of(entry, "category_id", int, where)
        if image_id in self.numbered:
            record, class_ids = self.numbered[image_id], self.categories
        else:
            record, class_ids = self.image(image_id, where), self.counted
        if category not in class_ids:
            known = ", ".join(map(str, list(class_ids)[:10])) + (", ..." if len(class_ids) > 10 else "")
            raise DataError(f"{where}: category_id {category} is no category of {self.root}; use its ids {known}")
        return record, class_ids[category]

    def image(self, name: int | str, where: str) -> ImageRecord:
        """The image of a name."""
        stem = id_of_name(name) if isinstance(name, str) and name.lower().endswith(SUFFIXES) else str(name)
        record = self.named.get(stem) or self.named.get(last_part(stem)) if isinstance(name, str) else None
        if record is None:
            count = len({each.image_id for each in self.named.values()})
            raise DataError(
                f"{where}: image_id {name!r:.80} is none of the {count} images of {self.root}; "
                "choose the --split that the results are of"
            )
        if (other := self.given.setdefault(record.image_id, stem)) != stem:
            raise DataError(f"{where}: {stem!r:.80} and {other!r:.80} both are image {record.image_id}; rename one")
        return record


def _by_name(dataset: BoxDataset) -> dict[str, ImageRecord]:
    """The images by id, and by the last part of it where that is of one image alone."""
    last_parts = Counter(last_part(record.image_id) for record in dataset)
    alone = {last: record for record in dataset if last_parts[last := last_part(record.image_id)] == 1}
    return alone | {record.image_id: record for record in dataset}


def _as_result(annotation: dict[str, Any], record: ImageRecord, where: str) -> dict[str, Any] | None:
    """An annotation as a result; None if it is a crowd region or has no pixel: that predicts no object."""
    segmentation = checked_segmentation(annotation.get("segmentation"), record.width, record.height, where)
    if segmentation is None or annotation.get("iscrowd"):
        return None
    mask = decode_mask(segmentation, record.height, record.width)
    return {"score": annotation.get("score", 1.0), "segmentation": encode_mask(mask)} if mask.any() else None


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
