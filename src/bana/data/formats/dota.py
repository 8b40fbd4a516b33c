"""DOTA: a text file an image, with the four corners, the class and the difficulty of an oriented box a line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bana.data.classes import class_id_of, class_table, listed_classes, read_lines
from bana.data.images import image_size
from bana.data.objects import (
    AnnotatedObject,
    corner_bounds,
    make_record,
    repaired_box,
    usable_area,
    usable_objects,
)
from bana.data.paths import FolderFiles, chosen_split, list_images, split_folders, without_suffix
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog

LABELS = "labelTxt"
"""The folder of text files beside ``images``; names that begin so, such as ``labelTxt-v1.0``, are known too."""

_OTHER_LABELS = "annfiles"
_HEADERS = ("imagesource", "gsd")
_CORNERS = 8


class _Places(NamedTuple):
    """The folders of a split."""

    images: Path
    labels: Path


class _Row(NamedTuple):
    """A line of a text file, with its place for messages."""

    where: str
    words: list[str]


def detect(path: Path) -> bool:
    """Whether ``path`` is a folder with ``images`` and ``labelTxt``, or has such folders as splits."""
    return path.is_dir() and bool(splits(path))


def splits(path: Path) -> dict[str, _Places]:
    """The folders of each split; of a data set without splits the name is ``""``."""
    own = _places(path)
    if own is None:
        parts = ((folder.name, _places(folder)) for folder in split_folders(path))
        return {name: places for name, places in parts if places is not None}
    within = {
        folder.name: _Places(own.images / folder.name, folder)
        for folder in split_folders(own.labels)
        if (own.images / folder.name).is_dir()
    }
    return within or {"": own}


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read oriented boxes. An image without a text file is a record without objects.

    The classes are the lines of ``labels.txt`` or ``classes.txt`` where there is one, else the sorted names of all
    splits.

    Raises:
        DataError: If the split is missing or unknown, or a file, line or image cannot be used (see FaultLog).
    """
    found = splits(path)
    split, places = chosen_split(path, split, found)
    classes = listed_classes(path) or class_table(sorted(_all_names(found.values())))
    records, stems = [], set()
    for image in list_images(places.images):
        image_id = without_suffix(image.relative_to(places.images).as_posix())
        stems.add(image_id)
        with faults.catch(image_id):
            files.checked(places.images, image, str(places.labels))
            records.append(_record(image, image_id, places.labels / f"{image_id}.txt", classes, faults))
    for file in sorted(places.labels.rglob("*.txt")):
        image_id = without_suffix(file.relative_to(places.labels).as_posix())
        if image_id not in stems:
            faults.leave_out(
                image_id, DataError(f"{file}: has no image in {places.images}; restore it or remove the file")
            )
    usable = tuple(record for record in records if not faults.has_fault(record.image_id))
    return BoxDataset(usable, classes, path, "dota", split or None, faults.rejected())


def _places(folder: Path) -> _Places | None:
    named = [*sorted(folder.glob(f"{LABELS}*")), folder / _OTHER_LABELS]
    labels = next((each for each in named if each.is_dir()), None)
    images = folder / "images"
    return _Places(images, labels) if labels is not None and images.is_dir() else None


def _all_names(places: Iterable[_Places]) -> set[str]:
    log = FaultLog("skip")
    names = set()
    for each in places:
        for file in each.labels.rglob("*.txt"):
            with log.catch(""):
                names |= {_name(row.words) for row in _rows(file) if len(row.words) > _CORNERS}
    return names


def _rows(file: Path) -> list[_Row]:
    lines = enumerate(read_lines(file) if file.is_file() else [], start=1)
    rows = [_Row(f"{file}: line {number}", line.split()) for number, line in lines]
    return [row for row in rows if row.words and not row.words[0].lower().startswith(_HEADERS)]


def _record(image: Path, image_id: str, labels: Path, classes: ClassTable, faults: FaultLog) -> ImageRecord:
    size = image_size(image)
    objects, ignored = usable_objects(
        _rows(labels),
        lambda row: parse_row(row.words, size, classes, row.where, partial(faults.repaired, image_id)),
        lambda row: usable_area(corner_bounds(corners), *size) if (corners := _corners(row.words)) else None,
        image_id,
        faults,
    )
    return make_record(image_id, image, size, objects, ignored=ignored)


def parse_row(
    words: Sequence[str], size: tuple[int, int], classes: ClassTable, where: str, repair: partial[None]
) -> AnnotatedObject:
    """Read ``x1 y1 x2 y2 x3 y3 x4 y4 class [difficult]``, in pixels.

    Args:
        words: The row's.
        size: Width and height of the image, pixels.
        classes: The classes.
        where: File and place in it, for messages.
        repair: Is told of what was wrong, and may raise.

    Raises:
        DataError: If the row cannot be used.
    """
    corners = _corners(words)
    if corners is None or len(words) <= _CORNERS:
        raise DataError(f"{where}: is not eight numbers, a class and 0 or 1; correct it")
    class_id = class_id_of(_name(words), classes, where)
    bounds = corner_bounds(corners)
    is_upright = {*corners[::2]} <= {bounds[0], bounds[2]} and {*corners[1::2]} <= {bounds[1], bounds[3]}
    box = repaired_box(bounds, *size, where, repair)
    difficult = len(words) > _CORNERS + 1 and words[-1] != "0"
    return AnnotatedObject(box, class_id, difficult=difficult, oriented=None if is_upright else corners)


def _name(words: Sequence[str]) -> str:
    """The class of a row, which may have several words; the last of the row is its difficulty."""
    return " ".join(words[_CORNERS:-1] if len(words) > _CORNERS + 1 else words[_CORNERS:])


def _corners(words: Sequence[str]) -> list[float] | None:
    try:
        corners = [float(word) for word in words[:_CORNERS]]
    except ValueError:
        return None
    return corners if len(corners) == _CORNERS and all(map(math.isfinite, corners)) else None
