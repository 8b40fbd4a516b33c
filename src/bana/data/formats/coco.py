"""COCO: one JSON file a split, with images, objects and classes by number."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bana.data.formats.coco_entries import (
    CocoAnnotation,
    CocoImage,
    Id,
    area_of,
    parse_annotations,
    parse_categories,
    parse_images,
    parse_object,
)
from bana.data.formats.coco_videos import image_frames
from bana.data.formats.labelme import is_labelme
from bana.data.images import image_size
from bana.data.masks import are_valid, compressed_rle
from bana.data.objects import make_record, stated_size_or_none, usable_objects
from bana.data.paths import SPLIT_FOLDERS, FolderFiles, chosen_split, home_of_file, named_image, split_folders
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.segmentations import packed_if_polygons
from bana.data.videos import VideoFrame
from bana.io.faults import FaultLog
from bana.io.strict_json import head_keys, read_json_object, value_of

_KEYS = ("images", "annotations", "categories")
_HEAD_KEYS = {*_KEYS, "info", "licenses", "videos"}
_USED = {
    *_KEYS,
    *("id", "file_name", "width", "height", "name"),
    *("info", "contributor"),
    *("videos", "fps", "video_id", "frame_id", "track_id", "instance_id"),
    *("image_id", "category_id", "bbox", "area", "iscrowd", "score", "segmentation", "size", "counts", "points"),
}
_WHOLE_SET = {"instances", "annotations", "_annotations.coco", "coco"}
# Of COCO's other tasks, and what Label Studio puts beside YOLO's labels.
_OTHER_CONTENT = ("captions", "person_keypoints", "image_info", "panoptic", "stuff", "notes.json")
_YEARS = ("2017", "2014")

_SERVER = "Label Studio"
"""The contributor whose file names lead to the image on its server; an export has the image in its folder images."""


def detect(path: Path) -> bool:
    """Whether ``path`` is a COCO JSON file, or a folder with one in a usual place."""
    return bool(_files(path))


def splits(path: Path) -> dict[str, Path]:
    """The JSON files by the name of their split; a file of the whole data set has the name ``""``."""
    return {_split_name(file): file for file in ([path] if path.is_file() else _files(path))}


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read a COCO JSON file, or the one of a split of a folder.

    Sparse category ids become class ids 1..L in their order; categories of one name become one class. Images without
    annotations are records without objects.

    Raises:
        DataError: If the split is missing or unknown, the file is not COCO's, or an annotation or image cannot be used
            (see FaultLog).
    """
    split, file = chosen_split(path, split, splits(path))
    folders = _image_folders(file, split)
    with _collector_paused():
        classes, class_ids, images, frames, of_image = _parse_file(file, faults)
        # An image's entries go as its record comes: those of a large file take as much memory as the records.
        records = [
            _record(image, frames.get(number), of_image.pop(number), class_ids, folders, files, faults)
            for number, image in images.items()
        ]
    usable = tuple(record for record in records if record is not None)
    return BoxDataset(usable, classes, path, "coco", split or None, faults.rejected())


def compact(entry: dict[str, Any]) -> dict[str, Any]:
    """An object of the file with the keys that are read, and its masks in a small form.

    As lists of Python's numbers, the masks of a large file would take gigabytes.
    """
    kept = {key: value for key, value in entry.items() if key in _USED}
    attributes = entry.get("attributes")
    if isinstance(attributes, dict) and "track_id" in attributes:  # as CVAT and Datumaro write it
        kept.setdefault("track_id", attributes["track_id"])
    segmentation = kept.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        kept["segmentation"] = packed_if_polygons(segmentation)
    return compressed_rle(kept) if "counts" in kept else kept


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
) -> tuple[ClassTable, dict[Id, int], dict[Id, CocoImage], dict[Id, VideoFrame], dict[Id, list[CocoAnnotation]]]:
    """What parse_categories, parse_images, image_frames and parse_annotations give."""
    content = read_json_object(file, compact, constants=True)
    images, annotations, categories = (value_of(content, key, list, str(file)) for key in _KEYS)
    classes, class_ids = parse_categories(categories, annotations, file)
    info = content.get("info")
    of_server = isinstance(info, dict) and info.get("contributor") == _SERVER
    parsed = parse_images(images, file, faults, of_server=of_server)
    frames = image_frames({number: image.entry for number, image in parsed.items()}, content.get("videos"))
    return classes, class_ids, parsed, frames, parse_annotations(annotations, parsed, file, faults)


def _record(
    image: CocoImage,
    frame: VideoFrame | None,
    annotations: list[CocoAnnotation],
    class_ids: dict[Id, int],
    folders: list[Path],
    files: FolderFiles,
    faults: FaultLog,
) -> ImageRecord | None:
    with faults.catch(image.image_id):
        path = named_image(files, folders, image.name, image.where, partial(faults.repaired, image.image_id))
        size = _size(image, path)
        masks = [annotation.entry.get("segmentation") for annotation in annotations]
        valid = are_valid([mask for mask in masks if isinstance(mask, tuple)], *size)
        objects, ignored = usable_objects(
            annotations,
            lambda each: parse_object(each, size, class_ids, image.image_id, faults, valid=valid),
            lambda each: area_of(each, size),
            image.image_id,
            faults,
        )
        if not faults.has_fault(image.image_id):
            known: dict[str, Any] = {"source_id": image.number, "ignored": ignored, "frame": frame}
            return make_record(image.image_id, path, size, objects, **known)
    return None


def _size(image: CocoImage, path: Path) -> tuple[int, int]:
    """Width and height that the file states, or those of the image where it leaves them out or they are no size."""
    stated = stated_size_or_none(image.entry.get("width"), image.entry.get("height"), image.where)
    return stated or image_size(path)


def _files(path: Path) -> list[Path]:
    """The COCO files of a folder: in COCO's own layout, beside the images, or one in each split's folder."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and not is_labelme(path) else []
    for pattern in ("annotations/*.json", "*.json", "*/_annotations.coco.json"):
        if found := _coco_files(path.glob(pattern)):
            return found
    # One of each folder: beside its images, or in a folder of its own.
    of_splits = (
        _coco_files(folder.glob("*.json")) or _coco_files(folder.glob("annotations/*.json"))
        for folder in split_folders(path)
    )
    return [files[0] for files in of_splits if len(files) == 1]


def _coco_files(files: Iterable[Path]) -> list[Path]:
    """Those of some JSON files that are COCO's; none if the first of them is labelme's, for all are then."""
    named = [file for file in sorted(files) if not file.name.startswith(_OTHER_CONTENT)]
    if named and is_labelme(named[0]):
        return []
    return [file for file in named if file.stem.startswith("instances") or head_keys(file) & _HEAD_KEYS]


def _split_name(file: Path) -> str:
    home = home_of_file(file)
    if file.name == "_annotations.coco.json" or (file.stem in _WHOLE_SET and home.name in SPLIT_FOLDERS):
        return home.name
    return "" if file.stem in _WHOLE_SET else file.stem.removeprefix("instances_")


def _image_folders(file: Path, split: str) -> list[Path]:
    """Where the images of a JSON file usually are, most specific first; those that are there."""
    home = home_of_file(file)
    of_split = [name for year in ("", *_YEARS) for name in (f"{split}{year}", f"images/{split}{year}")] if split else []
    folders = [home / name for name in (*of_split, "images", "data", "JPEGImages")] + [file.parent, home]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
