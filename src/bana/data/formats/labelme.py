"""labelme: one JSON file beside each image, with rectangles, polygons and masks as shapes."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.classes import class_id_of, class_table, listed_classes
from bana.data.images import DAMAGED, SUFFIXES, image_size
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
from bana.data.records import BoolArray, BoxDataset, ClassTable, ImageRecord
from bana.data.segmentations import Segmentation
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_json import head_keys, is_number, read_json_object, value_of

_OBJECT_FLAGS = ("difficult", "crowd")

_LEAST_POINTS = {"rectangle": 2, "polygon": 3, "mask": 2, "circle": 2, "rotation": 4}
"""The points that a shape must have; rotation is X-AnyLabeling's turned rectangle."""

_CIRCLE = 72
"""Corners of the polygon that stands for a circle; a multiple of four, so that it touches its box."""


@dataclass(frozen=True)
class LabelmeFile:
    """One JSON file: its image, whether it holds that, the size if stated, and its shapes by object, in their order."""

    path: Path
    image_name: str
    has_data: bool
    size: tuple[int, int] | None
    objects: tuple[tuple[LabelmeShape, ...], ...]


@dataclass(frozen=True, eq=False)
class LabelmeShape:
    """One shape with its place for messages."""

    where: str
    label: str
    kind: str
    points: tuple[tuple[float, float], ...]
    entry: dict[str, Any]


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


def read(path: Path, split: str | None, faults: FaultLog) -> BoxDataset:
    """Read a folder of labelme files; where they are in folders of it, these are the splits.

    Shapes of one label and one ``group_id`` are one object: its box encloses all of them, its mask is the union of
    their polygons and masks. The flags ``difficult`` and ``crowd`` of a shape, and a ``score`` beside them, are read.
    The classes are the lines of ``labels.txt`` or ``classes.txt`` where there is one, else the sorted labels of all
    files of the data set, whatever the split.

    Raises:
        DataError: If the split is missing or unknown, or a file, shape or image cannot be used (see FaultLog).
    """
    split, folder = chosen_split(path, split, splits(path))
    files: dict[str, LabelmeFile] = {}
    labels: set[str] = set()
    for file in sorted(path.rglob("*.json")):
        wanted = file.is_relative_to(folder)
        image_id = file.relative_to(folder if wanted else path).with_suffix("").as_posix()
        # A broken file of another split is no fault of this one.
        parsed = parse_file(file, image_id, faults if wanted else FaultLog("skip"))
        if parsed is not None:
            labels.update(shapes[0].label for shapes in parsed.objects)
            if wanted:
                files[image_id] = parsed
    classes = listed_classes(path) or class_table(sorted(labels))
    root, links = normal(path), FolderFiles()
    records = [_record(root, links, image_id, file, classes, faults) for image_id, file in files.items()]
    usable = tuple(record for record in records if record is not None)
    return BoxDataset(usable, classes, path, "labelme", split or None, faults.rejected())


def parse_file(path: Path, image_id: str, faults: FaultLog) -> LabelmeFile | None:
    """Parse one JSON file; None where it has noted faults."""
    with faults.catch(image_id):
        content = read_json_object(path, constants=True)
        objects: dict[object, list[LabelmeShape]] = {}
        for number, entry in enumerate(value_of(content, "shapes", list, str(path)), start=1):
            with faults.catch_object(image_id):
                shape = parse_shape(entry, f"{path}: shape {number}")
                group = entry.get("group_id")
                if isinstance(group, list | dict):
                    raise DataError(f"{shape.where}: group_id is a {type(group).__name__}; give a whole number or null")
                objects.setdefault(number if group is None else (shape.label, group), []).append(shape)
        name = content.get("imagePath")
        image_name = value_of(content, "imagePath", str, str(path)) if name is not None else ""
        has_data = isinstance(content.get("imageData"), str) and bool(content["imageData"])
        size = stated_size_or_none(content.get("imageWidth"), content.get("imageHeight"), str(path))
        if not faults.has_fault(image_id):
            return LabelmeFile(path, image_name, has_data, size, tuple(tuple(shapes) for shapes in objects.values()))
    return None


def parse_shape(entry: Any, where: str) -> LabelmeShape:
    """Check label, kind and points of one shape."""
    label = value_of(entry, "label", str, where)
    kind = value_of(entry, "shape_type", str, where) if entry.get("shape_type") is not None else "polygon"
    if kind not in _LEAST_POINTS:
        raise DataError(f"{where}: shape_type {kind!r:.40} has no area; use {', '.join(_LEAST_POINTS)}")
    points = value_of(entry, "points", list, where)
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(is_number(value) for value in point):
            raise DataError(f"{where}: a point is not [x, y]; correct it")
    if len(points) < _LEAST_POINTS[kind]:
        raise DataError(f"{where}: a {kind} has {len(points)} points; give at least {_LEAST_POINTS[kind]}")
    corners = tuple((float(x), float(y)) for x, y in points)
    if kind == "circle":
        return LabelmeShape(where, label, "polygon", _circle(*corners[:2]), entry)
    return LabelmeShape(where, label, kind, corners, entry)


def _circle(center: tuple[float, float], rim: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """A circle by its center and a point on its rim, as a polygon."""
    radius = math.dist(center, rim)
    angles = np.arange(_CIRCLE) * (2 * np.pi / _CIRCLE)
    xs, ys = center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)
    return tuple(zip(xs.tolist(), ys.tolist(), strict=True))


def parse_object(
    shapes: Sequence[LabelmeShape],
    size: tuple[int, int],
    classes: ClassTable,
    image_id: str,
    faults: FaultLog,
) -> AnnotatedObject:
    """Join the shapes of one object in an image of the given (width, height)."""
    first = shapes[0]
    union, bounds = _extent(shapes, size)
    box = (*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist())
    flags = [shape.entry.get("flags") or {} for shape in shapes]
    difficult, crowd = (
        any(isinstance(each, dict) and each.get(key) is True for each in flags) for key in _OBJECT_FLAGS
    )
    score = first.entry.get("score")
    segmentation = None
    with faults.catch_object(image_id):  # an outline that cannot be used costs itself, not the box
        segmentation = _segmentation(shapes, union, size)
    return AnnotatedObject(
        box=repaired_box(box, *size, first.where, partial(faults.repaired, image_id)),
        class_id=class_id_of(first.label, classes, first.where),
        difficult=difficult,
        crowd=crowd,
        segmentation=segmentation,
        oriented=_oriented(shapes),
        score=None if score is None else checked_score(value_of(first.entry, "score", float, first.where), first.where),
    )


def _oriented(shapes: Sequence[LabelmeShape]) -> list[float] | None:
    """The corners of an object that is one turned rectangle."""
    if len(shapes) != 1 or shapes[0].kind != "rotation" or len(shapes[0].points) != 4:
        return None
    return [value for point in shapes[0].points for value in point]


def _record(
    root: Path, links: FolderFiles, image_id: str, file: LabelmeFile, classes: ClassTable, faults: FaultLog
) -> ImageRecord | None:
    with faults.catch(image_id):
        path = _image_path(root, links, file, partial(faults.repaired, image_id))
        size = file.size or image_size(path)
        objects, ignored = usable_objects(
            file.objects,
            lambda shapes: parse_object(shapes, size, classes, image_id, faults),
            lambda shapes: _area(shapes, size),
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
    beside += files.of_stem(folder, file.path.stem)
    if beside:
        if leaves is not None:
            repair(f"{leaves}; {beside[0]} is taken")
        return files.checked(root, beside[0], where)
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


def _extent(shapes: Sequence[LabelmeShape], size: tuple[int, int]) -> tuple[BoolArray | None, npt.NDArray[np.float64]]:
    """The union of the masks among the shapes, if there are any, and the box around each shape, (S, 4)."""
    union: BoolArray | None = None
    bounds: list[Box] = []
    for shape in shapes:
        if shape.kind != "mask":
            xs, ys = zip(*shape.points, strict=True)
            bounds.append((min(xs), min(ys), max(xs), max(ys)))
            continue
        left, top, mask = _placed_mask(shape, size)  # one after the other: each may be as large as the image
        bottom, right = top + mask.shape[0], left + mask.shape[1]
        union = np.zeros(size[::-1], dtype=bool) if union is None else union
        union[top:bottom, left:right] |= mask
        bounds.append((left, top, right, bottom))
    return union, np.array(bounds, dtype=np.float64)


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


def _placed_mask(shape: LabelmeShape, size: tuple[int, int]) -> tuple[int, int, BoolArray]:
    """Left, top and pixels of a mask: a PNG in base64, which starts at the shape's first point."""
    text = value_of(shape.entry, "mask", str, shape.where)
    left, top = (round(value) for value in shape.points[0])
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            # Before it is decoded: a few bytes may say that they are billions of pixels.
            if left < 0 or top < 0 or left + image.width > size[0] or top + image.height > size[1]:
                raise DataError(
                    f"{shape.where}: box of the mask lies outside the {size[0]}x{size[1]} image; correct it"
                )
            return left, top, np.asarray(image.convert("L")) > 0
    except (binascii.Error, Image.DecompressionBombError, *DAMAGED) as error:
        raise DataError(f"{shape.where}: mask is not a PNG in base64 ({type(error).__name__}); restore it") from error
