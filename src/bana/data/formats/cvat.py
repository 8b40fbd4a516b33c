"""CVAT for images: one XML file with the images and shapes of a task, as CVAT itself exports it."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bana.data.classes import class_id_of, class_table
from bana.data.images import image_size
from bana.data.masks import checked_segmentation, encode_mask
from bana.data.objects import (
    AnnotatedObject,
    Box,
    corner_bounds,
    make_record,
    repaired_box,
    stated_size,
    turned_rectangle,
    usable_area,
    usable_objects,
)
from bana.data.paths import FolderFiles, chosen_split, id_of_name, last_part, named_image
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.segmentations import Segmentation
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_xml import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SHAPES = ("box", "polygon", "mask")
_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "ellipse", "tag")


def detect(path: Path) -> bool:
    """Whether ``path`` is such a file, or a folder with one."""
    return _file(path) is not None


def splits(path: Path) -> dict[str, list[Element]]:
    """The images of each subset; of images without one the name is ``""``."""
    found: dict[str, list[Element]] = {}
    for element in _root(path).findall("image"):
        found.setdefault(element.get("subset") or "", []).append(element)
    return found


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read boxes, turned boxes, polygons and masks. The classes are the task's labels, else the sorted names of all.

    Raises:
        DataError: If it is no such file, the split is unknown, or an image cannot be used (see FaultLog).
    """
    root = _root(path)
    if root.find("track") is not None:
        raise DataError(f"{path}: holds tracks of a video; export the task as CVAT for images")
    labels = [(element.findtext("name") or "").strip() for element in root.findall("meta//labels/label")]
    used = {shape.get("label", "") for image in root.findall("image") for shape in image if shape.tag in _SHAPES}
    classes = class_table(labels if used <= set(labels) else sorted(used))
    split, images = chosen_split(path, split, splits(path))
    home = path if path.is_dir() else path.parent
    names = Counter(id_of_name(_name(image)) for image in images)
    records = []
    for image in images:
        name = _name(image)
        image_id = id_of_name(name) if names[id_of_name(name)] == 1 else name
        with faults.catch(image_id):
            records.append(_record(image, image_id, home, files, classes, faults))
    usable = tuple(record for record in records if not faults.has_fault(record.image_id))
    return BoxDataset(usable, classes, path, "cvat", split or None, faults.rejected())


def _file(path: Path) -> Path | None:
    """The file that ``path`` is, or the first in the folder; CVAT calls it annotations.xml, other tools otherwise."""
    files = [path] if path.is_file() else sorted(path.glob("*.xml"))[:8]
    return next((file for file in files if file.suffix.lower() == ".xml" and _begins(file)), None)


def _begins(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return b"<annotations" in opened.read(4096)
    except OSError:
        return False


def _root(path: Path) -> Element:
    file = _file(path)
    if file is None:
        raise DataError(f"{path}: holds no annotations.xml of CVAT; give the folder of an export as CVAT for images")
    root = parse_xml(file)
    if root.tag != "annotations":
        raise DataError(f"{file}: begins with <{root.tag:.40}>, not with CVAT's <annotations>; give another file")
    return root


def _name(image: Element) -> str:
    return (image.get("name") or "").replace("\\", "/")


def _record(
    image: Element, image_id: str, home: Path, files: FolderFiles, classes: ClassTable, faults: FaultLog
) -> ImageRecord:
    where = f"{home}: image {image_id!r}"
    folders = [
        folder for folder in (home / "images", home / "images" / (image.get("subset") or "."), home) if folder.is_dir()
    ]
    name = _name(image)
    path = named_image(files, folders, name, where, partial(faults.repaired, image_id), [last_part(name)])
    sides = [_number(image, key, where, 0.0) for key in ("width", "height")]
    size = stated_size(sides[0], sides[1], where) if min(sides) > 0 else image_size(path)
    objects, ignored = usable_objects(
        enumerate(image, start=1),
        lambda entry: _object(entry[1], size, classes, f"{where}: shape {entry[0]}", image_id, faults),
        lambda entry: _area(entry[1], size) if entry[1].tag == "box" else None,
        image_id,
        faults,
    )
    return make_record(image_id, path, size, objects, ignored=ignored)


def _object(
    shape: Element, size: tuple[int, int], classes: ClassTable, where: str, image_id: str, faults: FaultLog
) -> AnnotatedObject:
    if shape.tag not in _SHAPES:
        known = "has no area" if shape.tag in _WITHOUT_AREA else "is not known"
        raise DataError(f"{where}: a {shape.tag:.40} {known}; use {', '.join(_SHAPES)}")
    class_id = class_id_of(shape.get("label", ""), classes, where)
    oriented = segmentation = None
    if shape.tag == "box":
        bounds, oriented = _corners(shape, where)
    elif shape.tag == "polygon":
        points = [_pair(text, where) for text in shape.get("points", "").split(";") if text.strip()]
        if len(points) < 3:
            raise DataError(f"{where}: a polygon has {len(points)} points; give at least 3")
        (x0, y0), (x1, y1) = np.min(points, axis=0).tolist(), np.max(points, axis=0).tolist()
        bounds = (x0, y0, x1, y1)
        with faults.catch_object(image_id):
            segmentation = checked_segmentation([[value for point in points for value in point]], *size, where)
    else:
        bounds, segmentation = _mask(shape, size, where)
    box = repaired_box(bounds, *size, where, partial(faults.repaired, image_id))
    return AnnotatedObject(box, class_id, segmentation=segmentation, oriented=oriented)


def _corners(shape: Element, where: str) -> tuple[Box, list[float] | None]:
    """The bounds of a box, and its corners if it is turned: by degrees clockwise around its center."""
    x0, y0, x1, y1 = (_number(shape, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
    angle = math.radians(_number(shape, "rotation", where, 0.0))
    if not angle:
        return (x0, y0, x1, y1), None
    corners = turned_rectangle(((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), angle)
    return corner_bounds(corners), corners


def _mask(shape: Element, size: tuple[int, int], where: str) -> tuple[Box, Segmentation]:
    """A mask: the lengths of runs of 0 and 1 in turn, row by row of a part of the image."""
    left, top, width, height = (int(_number(shape, key, where)) for key in ("left", "top", "width", "height"))
    try:
        runs = [int(word) for word in shape.get("rle", "").split(",")]
    except ValueError as error:
        raise DataError(f"{where}: rle is not a list of run lengths; restore the mask") from error
    fits = 0 <= left < left + width <= size[0] and 0 <= top < top + height <= size[1]
    if not fits or min(runs) < 0 or sum(runs) != width * height:
        raise DataError(f"{where}: the mask does not fit its {width}x{height} part of the image; restore it")
    mask = np.zeros((size[1], size[0]), dtype=bool)
    mask[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(
        height, width
    )
    return (left, top, left + width, top + height), encode_mask(mask)


def _area(shape: Element, size: tuple[int, int]) -> Box | None:
    try:
        return usable_area(_corners(shape, "")[0], *size)
    except DataError:
        return None


def _pair(text: str, where: str) -> tuple[float, float]:
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError as error:
        raise DataError(f"{where}: {text!r:.40} is not a point x,y; correct it") from error
    return x, y


def _number(element: Element, key: str, where: str, default: float | None = None) -> float:
    text = element.get(key)
    if text is None and default is not None:
        return default
    try:
        return float(text or "")
    except ValueError as error:
        raise DataError(f"{where}: {key} is {text!r:.40}, not a number; correct it") from error
