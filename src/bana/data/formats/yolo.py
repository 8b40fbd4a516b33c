"""YOLO: an index with the classes and splits (see yolo_index), and a text file an image with a line an object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bana.data.classes import read_lines
from bana.data.formats.yolo_index import YoloIndex, find_index, local_path, read_index
from bana.data.images import image_size
from bana.data.masks import checked_segmentation
from bana.data.objects import AnnotatedObject, checked_box, checked_score, make_record
from bana.data.paths import LinkGuard, checked_path, chosen_split, list_images, normal, without_suffix
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog


def detect(path: Path) -> bool:
    """Whether ``path`` is an index, or a folder with one."""
    return find_index(path) is not None


def splits(path: Path) -> dict[str, list[str]]:
    """What the index says about each split: folders, lists of images, or images."""
    return read_index(path).splits


def read(path: Path, split: str | None, faults: FaultLog) -> BoxDataset:
    """Read a split of a YOLO data set: boxes, or outlines as YOLO-seg has them.

    An image without a text file, or with an empty one, is a record without objects. A sixth number of a box, or one
    after an outline, is its score. The source id of a class is its YOLO number plus 1.

    Raises:
        DataError: If the split is missing or unknown, or a file, line or image cannot be used (see FaultLog).
    """
    index = read_index(path)
    split, sources = chosen_split(path, split, index.splits)
    numbers = sorted(index.names)
    classes = ClassTable(tuple(index.names[number] for number in numbers), tuple(number + 1 for number in numbers))
    class_ids = {number: class_id for class_id, number in enumerate(numbers, start=1)}
    records = []
    seen: set[str] = set()
    for image, image_id in _images(index, sources, faults):
        with faults.catch(image_id):
            if image_id in seen:
                raise DataError(f"{image}: another image is called {image_id!r} too; rename one of them")
            seen.add(image_id)
        record = _record(image, image_id, class_ids, faults)
        if record is not None:
            records.append(record)
    usable = tuple(record for record in records if not faults.has_fault(record.image_id))
    return BoxDataset(usable, classes, path, "yolo", split or None, faults.rejected())


def parse_line(line: str, size: tuple[int, int], class_ids: dict[int, int], where: str) -> AnnotatedObject:
    """Read ``class cx cy w h [score]`` or ``class x1 y1 x2 y2 x3 y3 ... [score]``, in shares of the image's size."""
    try:
        number, *values = (float(word) for word in line.split())
    except ValueError as error:
        raise DataError(f"{where}: has a word that is not a number; give class and coordinates") from error
    if number not in class_ids:
        raise DataError(f"{where}: class {number:g} is not in names; correct it or add the class to the YAML file")
    class_id = class_ids[int(number)]
    # Outlines have at least three points, so that only a box has 4 or 5 numbers.
    has_score = len(values) % 2 == 1
    score = checked_score(values[-1], where) if has_score else None
    coordinates = values[:-1] if has_score else values
    if len(coordinates) < 4:
        raise DataError(f"{where}: has {len(values)} numbers after the class; give 4, or at least 6 for an outline")
    if len(coordinates) == 4:
        cx, cy, w, h = coordinates
        corners = ((cx - w / 2) * size[0], (cy - h / 2) * size[1], (cx + w / 2) * size[0], (cy + h / 2) * size[1])
        return AnnotatedObject(checked_box(corners, *size, where), class_id, score=score)
    xs, ys = ([share * side for share in coordinates[axis::2]] for axis, side in enumerate(size))
    box = checked_box((min(xs), min(ys), max(xs), max(ys)), *size, where)
    polygon = [value for point in zip(xs, ys, strict=True) for value in point]
    return AnnotatedObject(box, class_id, segmentation=checked_segmentation([polygon], *size, where), score=score)


def label_path(image: Path) -> Path:
    """The text file of an image: its path with the last folder called ``images`` replaced by ``labels``."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _record(image: Path, image_id: str, class_ids: dict[int, int], faults: FaultLog) -> ImageRecord | None:
    with faults.catch(image_id):
        size = image_size(image)
        labels = label_path(image)
        objects = []
        for number, line in enumerate(read_lines(labels) if labels.is_file() else [], start=1):
            with faults.catch(image_id):
                if line.strip():
                    objects.append(parse_line(line, size, class_ids, f"{labels}: line {number}"))
        if not faults.has_fault(image_id):
            return make_record(image_id, image, size, objects)
    return None


def _images(index: YoloIndex, sources: Sequence[str], faults: FaultLog) -> list[tuple[Path, str]]:
    """The images of a split and their ids, relative to the folder that its sources have in common."""
    root, file = index.root, index.file
    bases: list[Path] = []
    images: list[tuple[Path, Path]] = []  # with the folder that links must not lead out of
    for source in sources:
        where = _found(root, source, file)
        if where.is_dir():
            images += [(image, where) for image in list_images(where)]
            bases.append(where)
        elif where.suffix == ".txt":
            images += [(image, root) for image in _listed_images(where, root, faults)]
            bases.append(root)
        else:
            images.append((where, where.parent))
            bases.append(where.parent)
    base, links = os.path.commonpath(bases), LinkGuard()
    found = []
    for image, folder in images:
        image_id = without_suffix(image.relative_to(base).as_posix())
        with faults.catch(image_id):
            found.append((links.checked(folder, image, str(file)), image_id))
    return found


def _listed_images(file: Path, root: Path, faults: FaultLog) -> list[Path]:
    """The images that a list names, one a line, relative to the root or, after ``./``, to the list."""
    found = []
    for number, line in enumerate(read_lines(file), start=1):
        name = line.strip()
        with faults.catch(name):
            if name:
                path = file.parent / name if name.startswith("./") else local_path(root, name)
                found.append(checked_path(root, path, f"{file}: line {number}"))
    return found


def _found(root: Path, source: str, file: Path) -> Path:
    """A source of a split; Roboflow writes ``../train/images`` for ``train/images``."""
    candidates = [normal(local_path(root, name)) for name in (source, source.removeprefix("../"))]
    there = [path for path in candidates if os.path.exists(path)]  # noqa: PTH110 - a Path's own refuses some names
    if there:
        return next((path for path in there if path.is_relative_to(root)), None) or checked_path(
            root, there[0], str(file)
        )
    raise DataError(f"{file}: {source} is not in {root}; correct the split or path")
