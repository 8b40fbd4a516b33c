"""COCO: one JSON file a split, with images, objects and classes by number."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bana.data.formats.labelme import is_labelme
from bana.data.images import image_size
from bana.data.masks import are_valid, checked_segmentation, compressed_rle
from bana.data.objects import AnnotatedObject, checked_box, checked_score, make_record, stated_size
from bana.data.paths import LinkGuard, checked_name, chosen_split, find_image, without_suffix
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.segmentations import packed_if_polygons, unpack
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_json import head_has, is_number, read_json_object, value_of

_KEYS = ("images", "annotations", "categories")
_USED = {
    *_KEYS,
    *("id", "file_name", "width", "height", "name"),
    *("info", "contributor"),
    *("image_id", "category_id", "bbox", "area", "iscrowd", "score", "segmentation", "size", "counts"),
}
_WHOLE_SET = {"instances", "annotations", "_annotations.coco", "coco"}
# Of COCO's other tasks, and what Label Studio puts beside YOLO's labels.
_OTHER_CONTENT = ("captions", "person_keypoints", "image_info", "panoptic", "stuff", "notes.json")
_YEARS = ("2017", "2014")

_SERVER = "Label Studio"
"""The contributor whose file names lead to the image on its server; an export has the image in its folder images."""


class CocoImage(NamedTuple):
    """One entry of ``images``: its id, its file name with and without suffix, its place for messages, and the entry."""

    number: int
    name: str
    image_id: str
    where: str
    entry: dict[str, Any]


class CocoAnnotation(NamedTuple):
    """One entry of ``annotations``: the file, the place in the list, its id if it has one, and the entry."""

    file: Path
    position: int
    number: int | None
    entry: dict[str, Any]

    @property
    def where(self) -> str:
        """File and place in it, for messages: made when asked for, since it would take more memory than a box."""
        if self.number is None:
            return f"{self.file}: annotations[{self.position}]"
        return f"{self.file}: annotation {self.number}"


def detect(path: Path) -> bool:
    """Whether ``path`` is a COCO JSON file, or a folder with one in a usual place."""
    return bool(_files(path))


def splits(path: Path) -> dict[str, Path]:
    """The JSON files by the name of their split; a file of the whole data set has the name ``""``."""
    return {_split_name(file): file for file in ([path] if path.is_file() else _files(path))}


def read(path: Path, split: str | None, faults: FaultLog) -> BoxDataset:
    """Read a COCO JSON file, or the one of a split of a folder.

    Sparse category ids become class ids 1..L in their order; categories of one name become one class. Images without
    annotations are records without objects.

    Raises:
        DataError: If the split is missing or unknown, the file is not COCO's, or an annotation or image cannot be used
            (see FaultLog).
    """
    split, file = chosen_split(path, split, splits(path))
    folders, links = _image_folders(file, split), LinkGuard()
    with _collector_paused():
        classes, class_ids, images, of_image = _parse_file(file, faults)
        # An image's entries go as its record comes: those of a large file take as much memory as the records.
        records = [
            _record(image, of_image.pop(number), class_ids, folders, links, faults) for number, image in images.items()
        ]
    usable = tuple(record for record in records if record is not None)
    return BoxDataset(usable, classes, path, "coco", split or None, faults.rejected())


def compact(entry: dict[str, Any]) -> dict[str, Any]:
    """An object of the file with the keys that are read, and its masks in a small form.

    As lists of Python's numbers, the masks of a large file would take gigabytes.
    """
    kept = {key: value for key, value in entry.items() if key in _USED}
    segmentation = kept.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        kept["segmentation"] = packed_if_polygons(segmentation)
    return compressed_rle(kept) if "counts" in kept else kept


def parse_categories(categories: Sequence[Any], file: Path) -> tuple[ClassTable, dict[int, int]]:
    """The class table in the order of the category ids, and the class id of each category id."""
    names: dict[int, str] = {}
    for index, category in enumerate(categories):
        where = f"{file}: categories[{index}]"
        number = value_of(category, "id", int, where)
        if number in names:
            raise DataError(f"{where}: id {number} is used twice; give each category its own")
        names[number] = value_of(category, "name", str, where)
    first_of_name = {names[number]: number for number in sorted(names, reverse=True)}
    kept = sorted(first_of_name.values())
    class_ids = {number: kept.index(first_of_name[name]) + 1 for number, name in names.items()}
    return ClassTable(tuple(names[number] for number in kept), tuple(kept)), class_ids


def parse_images(
    entries: Sequence[Any], file: Path, faults: FaultLog, *, of_server: bool = False
) -> dict[int, CocoImage]:
    """The entries of ``images`` by id; of entries with one id or one name each is a fault of both.

    ``of_server``: their file names are paths on another machine, of which the last part is the name.
    """
    images: dict[int, CocoImage] = {}
    names: set[str] = set()
    for index, entry in enumerate(entries):
        where = f"{file}: images[{index}]"
        with faults.catch(where):
            number = value_of(entry, "id", int, where)
            name = value_of(entry, "file_name", str, where)
            name = name.replace("\\", "/").rpartition("/")[2] if of_server else name
            image = CocoImage(number, name, without_suffix(name), f"{file}: image {number}", entry)
            with faults.catch(images.get(number, image).image_id):
                if number in images:
                    raise DataError(f"{where}: id {number} is used twice; give each image its own")
                if image.image_id in names:
                    raise DataError(f"{where}: another image is called {image.image_id!r} too; rename one of them")
            names.add(image.image_id)
            images.setdefault(number, image)
    return images


def parse_annotations(
    entries: Sequence[Any], images: dict[int, CocoImage], file: Path, faults: FaultLog
) -> dict[int, list[CocoAnnotation]]:
    """The entries of ``annotations`` by the id of their image, which for every image may be an empty list."""
    of_image: dict[int, list[CocoAnnotation]] = {number: [] for number in images}
    numbers: set[int] = set()
    for index, entry in enumerate(entries):
        where = f"{file}: annotations[{index}]"
        with faults.catch(where):
            image_number = value_of(entry, "image_id", int, where)
            number = value_of(entry, "id", int, where) if "id" in entry else None
            annotation = CocoAnnotation(file, index, number, entry)
            if image_number not in images:
                raise DataError(
                    f"{annotation.where}: image_id {image_number} is not in images; correct it or add the image"
                )
            if number in numbers:
                with faults.catch(images[image_number].image_id):
                    raise DataError(f"{annotation.where}: id {number} is used twice; give each annotation its own")
            if number is not None:
                numbers.add(number)
            of_image[image_number].append(annotation)
    return of_image


def parse_object(
    annotation: CocoAnnotation, size: tuple[int, int], class_ids: dict[int, int], *, valid: bool
) -> AnnotatedObject:
    """Check one annotation of an image of the given (width, height); ``valid``: its packed polygons need no check."""
    entry, where = annotation.entry, annotation.where
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, tuple) and not valid:
        segmentation = unpack(segmentation)
    category = value_of(entry, "category_id", int, where)
    if category not in class_ids:
        raise DataError(f"{where}: category_id {category} is not in categories; correct it or add the category")
    x, y, width, height = parse_bbox(entry, where)
    return AnnotatedObject(
        box=checked_box((x, y, x + width, y + height), *size, where),
        class_id=class_ids[category],
        crowd=bool(entry.get("iscrowd", 0)),
        segmentation=segmentation
        if isinstance(segmentation, tuple)
        else checked_segmentation(segmentation, *size, where),
        object_id=annotation.number,
        score=None if entry.get("score") is None else checked_score(value_of(entry, "score", float, where), where),
        area=None if entry.get("area") is None else value_of(entry, "area", float, where),
    )


def parse_bbox(entry: dict[str, Any], where: str) -> list[float]:
    """The ``bbox`` of an annotation or result, [x, y, width, height] in pixels, if it is four numbers."""
    bbox: list[float] = value_of(entry, "bbox", list, where)
    if len(bbox) != 4 or not all(map(is_number, bbox)):
        raise DataError(f"{where}: bbox must be four numbers [x, y, width, height]; correct it")
    return bbox


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Within this block Python does not look for cycles: it would go through millions of new objects that have none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parse_file(
    file: Path, faults: FaultLog
) -> tuple[ClassTable, dict[int, int], dict[int, CocoImage], dict[int, list[CocoAnnotation]]]:
    """What parse_categories, parse_images and parse_annotations give."""
    content = read_json_object(file, compact)
    images, annotations, categories = (value_of(content, key, list, str(file)) for key in _KEYS)
    classes, class_ids = parse_categories(categories, file)
    info = content.get("info")
    of_server = isinstance(info, dict) and info.get("contributor") == _SERVER
    parsed = parse_images(images, file, faults, of_server=of_server)
    return classes, class_ids, parsed, parse_annotations(annotations, parsed, file, faults)


def _record(
    image: CocoImage,
    annotations: list[CocoAnnotation],
    class_ids: dict[int, int],
    folders: list[Path],
    links: LinkGuard,
    faults: FaultLog,
) -> ImageRecord | None:
    with faults.catch(image.image_id):
        path = find_image(links, folders, [checked_name(image.name, image.where)], image.where)
        size = _size(image, path)
        masks = [annotation.entry.get("segmentation") for annotation in annotations]
        valid = are_valid([mask for mask in masks if isinstance(mask, tuple)], *size)
        objects = []
        for annotation in annotations:
            with faults.catch(image.image_id):
                objects.append(parse_object(annotation, size, class_ids, valid=valid))
        if not faults.has_fault(image.image_id):
            return make_record(image.image_id, path, size, objects, source_id=image.number)
    return None


def _size(image: CocoImage, path: Path) -> tuple[int, int]:
    """Width and height that the file states, or those of the image where it leaves them out."""
    if image.entry.get("width") is None or image.entry.get("height") is None:
        return image_size(path)
    width, height = (value_of(image.entry, key, int, image.where) for key in ("width", "height"))
    return stated_size(width, height, image.where)


def _files(path: Path) -> list[Path]:
    """The COCO files of a folder: in COCO's own layout, beside the images, or one in each split's folder."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and not is_labelme(path) else []
    for pattern in ("annotations/*.json", "*.json", "*/_annotations.coco.json"):
        files = [file for file in sorted(path.glob(pattern)) if not file.name.startswith(_OTHER_CONTENT)]
        if files and is_labelme(files[0]):
            continue
        found = [file for file in files if file.stem.startswith("instances") or head_has(file, *_KEYS)]
        if found:
            return found
    return []


def _split_name(file: Path) -> str:
    if file.name == "_annotations.coco.json":
        return file.parent.name
    return "" if file.stem in _WHOLE_SET else file.stem.removeprefix("instances_")


def _image_folders(file: Path, split: str) -> list[Path]:
    """Where the images of a JSON file usually are, most specific first; those that are there."""
    home = file.parent.parent if file.parent.name == "annotations" else file.parent
    of_split = [name for year in ("", *_YEARS) for name in (f"{split}{year}", f"images/{split}{year}")] if split else []
    folders = [home / name for name in (*of_split, "images", "data", "JPEGImages")] + [file.parent, home]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
