"""YOLO: an index with the classes and splits (see yolo_index), and a text file an image with a line an object."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bana.data.classes import read_lines
from bana.data.formats.yolo_index import (
    LISTS,
    YoloIndex,
    distinct_splits,
    find_index,
    has_labels,
    labeled_splits,
    local_path,
    read_index,
)
from bana.data.images import image_size
from bana.data.masks import checked_segmentation
from bana.data.objects import (
    AnnotatedObject,
    Box,
    checked_score,
    is_turned_rectangle,
    make_record,
    repaired_box,
    usable_area,
    usable_objects,
)
from bana.data.paths import FolderFiles, checked_path, chosen_split, id_of_name, list_images, normal
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog


def detect(path: Path) -> bool:
    """Whether ``path`` is an index, or a folder with one."""
    return find_index(path) is not None


def lacks_classes(path: Path) -> bool:
    """Whether a folder without an index has images and label files, so that only the names of classes are missing."""
    return path.is_dir() and find_index(path) is None and (has_labels(path) or bool(labeled_splits(path)))


def splits(path: Path) -> dict[str, list[str]]:
    """What the index says about each split: folders, lists of images, or images."""
    return read_index(path).splits


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read a split of a YOLO data set: boxes, or outlines as YOLO-seg has them.

    An image without a text file, or with an empty one, is a record without objects. A sixth number of a box, or one
    after an outline, is its score. The source id of a class is its YOLO number plus 1.

    Raises:
        DataError: If the split is missing or unknown, or a file, line or image cannot be used (see FaultLog).
    """
    index = read_index(path)
    split, sources = chosen_split(path, split, distinct_splits(index) if split is None else index.splits)
    numbers = sorted(index.names)
    classes = ClassTable(tuple(index.names[number] for number in numbers), tuple(number + 1 for number in numbers))
    rows = _Rows({number: class_id for class_id, number in enumerate(numbers, start=1)}, index.keypoints)
    images = _images(index, sources, files, faults)
    records, turned = [], _TurnedOutlines()
    for image, image_id in images:
        with faults.catch(image_id):
            found = _objects(image, image_id, rows, faults)
            turned.see(found.objects)
            record = make_record(image_id, image, found.size, found.objects, ignored=found.ignored)
            if not faults.has_fault(image_id):
                records.append(record)
    _note_lonely_labels([image for image, _ in images], faults)
    if turned.all:
        records = [_as_oriented(record) for record in records]
    return BoxDataset(tuple(records), classes, path, "yolo", split or None, faults.rejected())


class _Rows(NamedTuple):
    """How the rows of label files are read: class ids by number, and the numbers of keypoints after a box."""

    class_ids: dict[int, int]
    keypoints: int


class _Found(NamedTuple):
    """What an image's label file holds: objects, and boxes of rows that cannot be used."""

    size: tuple[int, int]
    objects: list[AnnotatedObject]
    ignored: list[Box]


def parse_line(
    line: str,
    size: tuple[int, int],
    class_ids: dict[int, int],
    where: str,
    *,
    keypoints: int = 0,
    repair: Callable[[str], None],
) -> AnnotatedObject:
    """Read ``class cx cy w h [score]`` or ``class x1 y1 x2 y2 x3 y3 ... [score]``, in shares of the image's size.

    Args:
        line: A row of a label file.
        size: Width and height of the image, pixels.
        class_ids: Class ids by YOLO's numbers.
        where: File and place in it, for messages.
        keypoints: So many numbers follow a box, and are not read; then there are no outlines.
        repair: Is told of what was wrong, and may raise.

    Raises:
        DataError: If the row cannot be used.
    """
    number, values = _numbers(line, where)
    if keypoints:
        if len(values) - 4 not in (keypoints, keypoints + 1):
            raise DataError(
                f"{where}: has {len(values)} numbers after the class; give 4 and the {keypoints} of kpt_shape"
            )
        values = values[:4] + values[4 + keypoints :]
    # Outlines have at least three points, so that only a box has 4 or 5 numbers.
    has_score = len(values) % 2 == 1
    coordinates = values[:-1] if has_score else values
    if len(coordinates) < 4:
        raise DataError(f"{where}: has {len(values)} numbers after the class; give 4, or at least 6 for an outline")
    if number not in class_ids:
        raise DataError(f"{where}: class {number:g} is not in names; correct it or add the class to the YAML file")
    box = repaired_box(_bounds(coordinates, size), *size, where, repair)
    score = checked_score(values[-1], where) if has_score else None
    mask = None
    if len(coordinates) > 4:
        try:
            mask = checked_segmentation([_outline(coordinates, size)], *size, where)
        except DataError as error:  # it costs itself, not the box around it
            repair(f"{error} (its box is taken)")
    return AnnotatedObject(box, class_ids[int(number)], segmentation=mask, score=score)


def _numbers(line: str, where: str) -> tuple[float, list[float]]:
    try:
        number, *values = (float(word) for word in line.split())
    except ValueError as error:
        raise DataError(f"{where}: has a word that is not a number; give class and coordinates") from error
    return number, values


def _bounds(coordinates: Sequence[float], size: tuple[int, int]) -> Box:
    """The xyxy box, in pixels, of a row's four numbers or of its outline."""
    if len(coordinates) == 4:
        cx, cy, w, h = coordinates
        return (cx - w / 2) * size[0], (cy - h / 2) * size[1], (cx + w / 2) * size[0], (cy + h / 2) * size[1]
    outline = _outline(coordinates, size)
    return min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])


def _outline(coordinates: Sequence[float], size: tuple[int, int]) -> list[float]:
    return [share * size[index % 2] for index, share in enumerate(coordinates)]


class _TurnedOutlines:
    """Whether all outlines of a split are turned rectangles: those are oriented boxes, and no masks."""

    def __init__(self) -> None:
        self._turned: bool | None = None

    @property
    def all(self) -> bool:
        """Whether there were outlines, and all were turned rectangles."""
        return self._turned is True

    def see(self, objects: Iterable[AnnotatedObject]) -> None:
        """Look at the outlines of an image, unless it is known already that these are masks."""
        for entry in objects:
            if entry.segmentation is not None and self._turned is not False:
                corners = _corners(entry.segmentation)
                self._turned = corners is not None and is_turned_rectangle(corners)


def _as_oriented(record: ImageRecord) -> ImageRecord:
    corners = tuple(_corners(each) for each in record.segmentations)
    return replace(record, segmentations=(None,) * len(record), oriented=corners) if any(corners) else record


def _corners(segmentation: object) -> list[float] | None:
    """The only polygon of a mask, if it has four corners."""
    polygons = segmentation if isinstance(segmentation, list) else []
    return polygons[0] if len(polygons) == 1 and len(polygons[0]) == 8 else None


def label_path(image: Path) -> Path:
    """The text file of an image: its path with the last folder called ``images`` replaced by ``labels``."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _objects(image: Path, image_id: str, rows: _Rows, faults: FaultLog) -> _Found:
    size = image_size(image)
    labels = label_path(image)
    lines = enumerate(read_lines(labels) if labels.is_file() else [], start=1)
    repair = partial(faults.repaired, image_id)
    objects, ignored = usable_objects(
        ((number, line) for number, line in lines if line.strip()),
        lambda row: parse_line(
            row[1], size, rows.class_ids, f"{labels}: line {row[0]}", keypoints=rows.keypoints, repair=repair
        ),
        lambda row: _area(row[1], size),
        image_id,
        faults,
    )
    return _Found(size, objects, ignored)


def _area(line: str, size: tuple[int, int]) -> Box | None:
    """The box of a row that cannot be used; None if it has none."""
    with suppress(DataError):
        _, values = _numbers(line, "")
        return usable_area(_bounds(values[:4], size), *size) if len(values) in (4, 5) else None
    return None


def _note_lonely_labels(images: Sequence[Path], faults: FaultLog) -> None:
    """Note the text files that no image belongs to, in the folders of those of images."""
    wanted = {label_path(image) for image in images}
    for folder in sorted({path.parent for path in wanted}):
        for file in sorted(folder.glob("*.txt")):
            if file not in wanted and file.name not in LISTS and file.name != "README.txt" and _is_label(file):
                faults.leave_out(
                    file.stem, DataError(f"{file}: has no image that can be read; restore it or remove the file")
                )


def _is_label(file: Path) -> bool:
    """Whether a text file's first row is of numbers, as in label files, and not a name or a path."""
    with suppress(DataError):
        first = next((line for line in read_lines(file) if line.strip()), "")
        return bool(first) and len(_numbers(first, "")[1]) >= 4
    return False


def _images(index: YoloIndex, sources: Sequence[str], files: FolderFiles, faults: FaultLog) -> list[tuple[Path, str]]:
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
    base = os.path.commonpath(bases)
    names = {image: image.relative_to(base).as_posix() for image, _ in images}
    stems = Counter(id_of_name(name) for name in names.values())
    found = []
    for image, folder in images:
        name = names[image]  # images that differ by their suffixes alone keep them
        image_id = id_of_name(name) if stems[id_of_name(name)] == 1 else name
        with faults.catch(image_id):
            found.append((files.checked(folder, image, str(file)), image_id))
    return list(dict(found).items())


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
