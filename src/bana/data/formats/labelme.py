"""labelme: one JSON file beside each image, with rectangles, polygons and masks as shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np

from bana.data.classes import class_id_of, class_table, listed_classes
from bana.data.formats.labelme_points import points_of
from bana.data.formats.labelme_shapes import STROKES, LabelmeShape, extent_of, parse_shape
from bana.data.images import SUFFIXES, image_size
from bana.data.masks import checked_segmentation, decode_mask, encode_mask
from bana.data.objects import (
    AnnotatedObject,
    Box,
    checked_score,
    make_record,
    repaired_box,
    stated_size_or_none,
    usable_area,
    usable_objects,
)
from bana.data.paths import (
    FolderFiles,
    checked_name,
    checked_path,
    chosen_split,
    find_image,
    is_file,
    last_part,
    normal,
)
from bana.data.points import inside
from bana.data.records import BoolArray, BoxDataset, ClassTable, ImageRecord, Point
from bana.data.segmentations import Segmentation
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_json import head_keys, read_json_object, value_of

_OBJECT_FLAGS = ("difficult", "crowd")


@dataclass(frozen=True)
class LabelmeFile:
    """One JSON file: its image, whether it holds that, the size if stated, shapes by object, in order, and strokes."""

    path: Path
    image_name: str
    has_data: bool
    size: tuple[int, int] | None
    objects: tuple[tuple[LabelmeShape, ...], ...]
    strokes: tuple[LabelmeShape, ...]


def is_labelme(path: Path) -> bool:
    """Whether a JSON file begins as labelme's do."""
    return bool(head_keys(path) & {"shapes", "imagePath", "imageData"})


def detect(path: Path) -> bool:
    """Whether ``path`` is a folder with labelme JSON files, in itself or up to two folders further down."""
    if not path.is_dir():
        return False
    firsts = (next(path.glob(pattern), None) for pattern in ("*.json", "*/*.json", "*/*/*.json"))
    return any(is_labelme(first) for first in firsts if first is not None)


def splits(path: Path) -> dict[str, Path]:
    """The folders with JSON files by name: the data set's own as ``""``, else those in it."""
    if not path.is_dir():
        raise DataError(f"{path}: is not a folder; give the folder of the JSON files")
    if next(path.glob("*.json"), None) is not None:
        return {"": path}
    return {folder.name: folder for folder in sorted(path.iterdir()) if next(folder.rglob("*.json"), None)}


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read a folder of labelme files; where they are in folders of it, these are the splits.

    Shapes of one label and one ``group_id`` are one object: its box encloses all of them, its mask is the union of
    their polygons and masks. The flags ``difficult`` and ``crowd`` of a shape, and a ``score`` beside them, are read.
    Points and lines say where objects are (``labelme_points``).
    The classes are the lines of ``labels.txt`` or ``classes.txt`` where there is one, else the sorted labels of all
    files of the data set, whatever the split.

    Raises:
        DataError: If the split is missing or unknown, or a file, shape or image cannot be used (see FaultLog).
    """
    split, folder = chosen_split(path, split, splits(path))
    found: dict[str, LabelmeFile] = {}
    labels: set[str] = set()
    for file in sorted(path.rglob("*.json")):
        wanted = file.is_relative_to(folder)
        image_id = file.relative_to(folder if wanted else path).with_suffix("").as_posix()
        # A broken file of another split is no fault of this one.
        parsed = parse_file(file, image_id, faults if wanted else FaultLog("skip"))
        if parsed is not None:
            labels.update(shapes[0].label for shapes in parsed.objects)
            if wanted:
                found[image_id] = parsed
    classes = listed_classes(path) or class_table(sorted(labels))
    root = normal(path)
    records = [_record(root, files, image_id, file, classes, faults) for image_id, file in found.items()]
    usable = tuple(record for record in records if record is not None)
    return BoxDataset(usable, classes, path, "labelme", split or None, faults.rejected())


def parse_file(path: Path, image_id: str, faults: FaultLog) -> LabelmeFile | None:
    """Parse one JSON file; None where it has noted faults."""
    with faults.catch(image_id):
        content = read_json_object(path, constants=True)
        objects: dict[object, list[LabelmeShape]] = {}
        strokes: list[LabelmeShape] = []
        for number, entry in enumerate(value_of(content, "shapes", list, str(path)), start=1):
            with faults.catch_object(image_id):
                shape = parse_shape(entry, f"{path}: shape {number}")
                group = entry.get("group_id")
                if isinstance(group, list | dict):
                    raise DataError(f"{shape.where}: group_id is a {type(group).__name__}; give a whole number or null")
                of_object = objects.setdefault(number if group is None else (shape.label, group), [])
                (strokes if shape.kind in STROKES else of_object).append(shape)
        name = content.get("imagePath")
        image_name = value_of(content, "imagePath", str, str(path)) if name is not None else ""
        has_data = isinstance(content.get("imageData"), str) and bool(content["imageData"])
        size = stated_size_or_none(content.get("imageWidth"), content.get("imageHeight"), str(path))
        if not faults.has_fault(image_id):
            outlined = tuple(tuple(shapes) for shapes in objects.values() if shapes)
            return LabelmeFile(path, image_name, has_data, size, outlined, tuple(strokes))
    return None


def parse_object(
    shapes: Sequence[LabelmeShape],
    points: Sequence[Point],
    size: tuple[int, int],
    classes: ClassTable,
    image_id: str,
    faults: FaultLog,
) -> AnnotatedObject:
    """Join the shapes and points of one object in an image of the given (width, height)."""
    first = shapes[0]
    union, bounds = extent_of(shapes, size)
    box = (*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist())
    # labelme has the flags in an object of their own, X-AnyLabeling beside it.
    flags = [each for shape in shapes for each in (shape.entry.get("flags"), shape.entry)]
    difficult, crowd = (
        any(isinstance(each, dict) and each.get(key) is True for each in flags) for key in _OBJECT_FLAGS
    )
    score = first.entry.get("score")
    kept = repaired_box(box, *size, first.where, partial(faults.repaired, image_id))
    segmentation = None
    with faults.catch_object(image_id):  # an outline that cannot be used costs itself, not the box
        segmentation = _segmentation(shapes, union, size)
    return AnnotatedObject(
        box=kept,
        class_id=class_id_of(first.label, classes, first.where),
        difficult=difficult,
        crowd=crowd,
        segmentation=segmentation,
        oriented=_oriented(shapes),
        points=inside(points, kept),
        score=None if score is None else checked_score(value_of(first.entry, "score", float, first.where), first.where),
    )


def _oriented(shapes: Sequence[LabelmeShape]) -> list[float] | None:
    """The corners of an object that is one turned rectangle."""
    if len(shapes) != 1 or shapes[0].kind != "rotation" or len(shapes[0].points) != 4:
        return None
    return [value for point in shapes[0].points for value in point]


def _record(
    root: Path, files: FolderFiles, image_id: str, file: LabelmeFile, classes: ClassTable, faults: FaultLog
) -> ImageRecord | None:
    with faults.catch(image_id):
        path = _image_path(root, files, file, partial(faults.repaired, image_id))
        size = file.size or image_size(path)
        objects, ignored = usable_objects(
            zip(file.objects, points_of(file.strokes, file.objects, image_id, faults), strict=True),
            lambda entry: parse_object(*entry, size, classes, image_id, faults),
            lambda entry: _area(entry[0], size),
            image_id,
            faults,
        )
        if not faults.has_fault(image_id):
            return make_record(image_id, path, size, objects, ignored=ignored)
    return None


def _image_path(root: Path, files: FolderFiles, file: LabelmeFile, repair: Callable[[str], None]) -> Path:
    """The image that a file names, else the one beside it: ``imagePath`` is often stale, or of another machine."""
    where, folder = str(file.path), normal(file.path.parent)
    leaves: DataError | None = None
    if file.image_name:
        try:
            windows = PureWindowsPath(file.image_name)
            if windows.drive:  # a letter or a server
                checked_name(file.image_name, where)
            named = checked_path(root, folder / windows.as_posix(), where)
            if is_file(named):
                return files.checked(root, named, where)
        except DataError as error:
            leaves = error
    last = last_part(file.image_name)
    beside = [folder / last] if last not in ("", ".", "..") and is_file(folder / last) else []
    for place in (folder, folder.parent / "images"):
        beside += files.of_stem(place, file.path.stem)
    if beside:
        if leaves is not None:
            repair(f"{leaves}; {beside[0]} is taken")
        return files.checked(root, checked_path(root, beside[0], where), where)
    if file.has_data:
        raise DataError(
            f"{where}: its image is not beside it, but inside it as imageData; write it to a file, as "
            "labelme_export_json does"
        )
    if leaves is not None:
        raise leaves
    return find_image(files, [folder], [last or f"{file.path.stem}{SUFFIXES[0]}"], where)


def _area(shapes: Sequence[LabelmeShape], size: tuple[int, int]) -> Box | None:
    """The box of an object that cannot be used; None if it has none."""
    points = [point for shape in shapes for point in shape.points]
    xs, ys = zip(*points, strict=True)
    return usable_area((min(xs), min(ys), max(xs), max(ys)), *size)


def _segmentation(
    shapes: Sequence[LabelmeShape], union: BoolArray | None, size: tuple[int, int]
) -> Segmentation | None:
    """The polygons among the shapes, or RLE of them and of the union of masks."""
    polygons: list[list[float]] = []
    for shape in shapes:
        if shape.kind == "polygon":
            corners = np.clip(shape.points, 0, size) if shape.entry.get("shape_type") == "circle" else shape.points
            ring = [float(value) for point in corners for value in point]
            checked = checked_segmentation([ring], *size, shape.where)
            polygons += checked if isinstance(checked, list) else []
    if union is None:
        return polygons or None
    return encode_mask(union | decode_mask(polygons, *union.shape))
