"""The entries of a COCO file: images, annotations and categories, each checked by itself.

What other tools take is taken: ids that are text or whole floats, sizes of 0, a mask that cannot be used beside a box
that can.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bana.data.classes import NOT_OBJECTS
from bana.data.formats.coco_videos import track_id_of
from bana.data.masks import checked_segmentation, decode_mask, mask_bounds
from bana.data.objects import AnnotatedObject, Box, checked_score, is_plain_box, repaired_box, usable_area
from bana.data.paths import id_of_name, last_part
from bana.data.points import flat_points, inside
from bana.data.records import ClassTable, Point
from bana.data.segmentations import PackedPolygons, Segmentation, unpack
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_json import is_number, value_of

Id = int | str
"""An id of an entry: COCO's are whole numbers, others' are text."""

_NUMBERS = {int, float}
_GREATEST = 2**63
_FLAGS: dict[Any, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}


class CocoImage(NamedTuple):
    """One entry of ``images``: its id, file name, image id, its place for messages, and the entry."""

    number: Id
    name: str
    image_id: str
    where: str
    entry: dict[str, Any]


class CocoAnnotation(NamedTuple):
    """One entry of ``annotations``: the file, the place in the list, its id if it has one, and the entry."""

    file: Path
    position: int
    number: Id | None
    entry: dict[str, Any]

    @property
    def where(self) -> str:
        """File and place in it, for messages: made when asked for, since it would take more memory than a box."""
        if self.number is None:
            return f"{self.file}: annotations[{self.position}]"
        return f"{self.file}: annotation {self.number}"


def id_of(entry: Any, key: str, where: str) -> Id:
    """An id: a whole number, also as a float or as text, or other text.

    Raises:
        DataError: If it is missing or none of these.
    """
    value = entry.get(key) if type(entry) is dict else None
    if type(value) is int and abs(value) < _GREATEST:
        return value
    if isinstance(value, float) and value.is_integer() and is_number(value):
        return int(value)
    if isinstance(value, str) and value:
        text: str = value_of(entry, key, str, where)
        return int(text) if text.isdecimal() and text.isascii() and str(int(text[:300])) == text else text
    number: int = value_of(entry, key, int, where)
    return number


def parse_categories(
    categories: Sequence[Any], annotations: Sequence[Any], file: Path
) -> tuple[ClassTable, dict[Id, int]]:
    """The class table in the order of the category ids, and the class id of each category id.

    A category called as the background is that no annotation has is left out: some tools list it.
    """
    names: dict[Id, str] = {}
    for index, category in enumerate(categories):
        where = f"{file}: categories[{index}]"
        number = id_of(category, "id", where)
        if number in names:
            raise DataError(f"{where}: id {number} is used twice; give each category its own")
        names[number] = value_of(category, "name", str, where)
    backgrounds = {number for number, name in names.items() if name in NOT_OBJECTS}
    if backgrounds:
        for entry in annotations:
            with suppress(DataError):
                backgrounds.discard(id_of(entry, "category_id", ""))
        names = {number: name for number, name in names.items() if number not in backgrounds}
    order = sorted(names, key=lambda number: (isinstance(number, str), number))
    first_of_name = {names[number]: number for number in reversed(order)}
    kept = [number for number in order if first_of_name[names[number]] == number]
    class_ids = {number: kept.index(first_of_name[name]) + 1 for number, name in names.items()}
    numbers = tuple(number for number in kept if isinstance(number, int))
    source_ids = numbers if len(numbers) == len(kept) else ()
    return ClassTable(tuple(names[number] for number in kept), source_ids), class_ids


def parse_images(
    entries: Sequence[Any], file: Path, faults: FaultLog, *, of_server: bool = False
) -> dict[Id, CocoImage]:
    """The entries of ``images`` by id; of entries with one id or one name each is a fault of both.

    ``of_server``: their file names are paths on another machine, of which the last part is the name.
    """
    images: dict[Id, CocoImage] = {}
    names = _names(entries, of_server=of_server)
    used: set[str] = set()
    for index, entry in enumerate(entries):
        where = f"{file}: images[{index}]"
        with faults.catch(where):
            number = id_of(entry, "id", where)
            value_of(entry, "file_name", str, where)
            name, image_id = names[index]
            image = CocoImage(number, name, image_id, f"{file}: image {number}", entry)
            with faults.catch(images.get(number, image).image_id):
                if number in images:
                    raise DataError(f"{where}: id {number} is used twice; give each image its own")
                if image.image_id in used:
                    raise DataError(f"{where}: another image is called {image.image_id!r} too; rename one of them")
            used.add(image.image_id)
            images.setdefault(number, image)
    return images


def _names(entries: Sequence[Any], *, of_server: bool) -> list[tuple[str, str]]:
    """The file name of each image, with forward slashes, and its id.

    An id is the name without its suffix, but where images differ by their suffixes alone, and their file names are not
    the same, it keeps that.
    """
    names = []
    for entry in entries:
        name = entry.get("file_name") if isinstance(entry, dict) else None
        name = name.replace("\\", "/") if isinstance(name, str) else ""
        names.append(last_part(name) if of_server else name.removeprefix("./"))
    stems: dict[str, set[str]] = {}
    for name in names:
        stems.setdefault(id_of_name(name), set()).add(name)
    return [(name, name if len(stems[id_of_name(name)]) > 1 else id_of_name(name)) for name in names]


def parse_annotations(
    entries: Sequence[Any], images: dict[Id, CocoImage], file: Path, faults: FaultLog
) -> dict[Id, list[CocoAnnotation]]:
    """The entries of ``annotations`` by the id of their image, which for every image may be an empty list."""
    of_image: dict[Id, list[CocoAnnotation]] = {number: [] for number in images}
    numbers: set[Id] = set()
    for index, entry in enumerate(entries):
        where = f"{file}: annotations[{index}]"
        with faults.catch_object(where):
            image_number = id_of(entry, "image_id", where)
            number = id_of(entry, "id", where) if entry.get("id") is not None else None
            annotation = CocoAnnotation(file, index, number, entry)
            if image_number not in images:
                raise DataError(
                    f"{annotation.where}: image_id {image_number} is not in images; correct it or add the image"
                )
            if number in numbers:
                image_id = images[image_number].image_id
                with faults.catch(image_id):
                    faults.repaired(
                        image_id, f"{annotation.where}: id {number} is used twice; give each annotation its own"
                    )
                annotation = annotation._replace(number=None)
            elif number is not None:
                numbers.add(number)
            of_image[image_number].append(annotation)
    return of_image


def parse_object(
    annotation: CocoAnnotation,
    size: tuple[int, int],
    class_ids: dict[Id, int],
    image_id: str,
    faults: FaultLog,
    *,
    valid: bool,
) -> AnnotatedObject:
    """Check one annotation of an image of the given (width, height); ``valid``: its packed polygons need no check."""
    entry = annotation.entry
    category = entry.get("category_id")
    if type(category) is not int:
        category = id_of(entry, "category_id", annotation.where)
    if category not in class_ids:
        raise DataError(
            f"{annotation.where}: category_id {category} is not in categories; correct it or add the category"
        )
    segmentation = _segmentation(annotation, size, image_id, faults, valid=valid)
    box = _box(annotation, segmentation, size, image_id, faults)
    return AnnotatedObject(
        box=box,
        class_id=class_ids[category],
        crowd=_flag(annotation, "iscrowd"),
        segmentation=segmentation,
        object_id=annotation.number,
        score=_score(annotation),
        area=_area(entry),
        points=_points(annotation, box, image_id, faults) if "points" in entry else (),
        track_id=track_id_of(entry),
    )


def parse_bbox(entry: dict[str, Any], where: str) -> list[float]:
    """The ``bbox`` of an annotation or result, [x, y, width, height] in pixels, if it is four numbers."""
    bbox: list[float] = value_of(entry, "bbox", list, where)
    if len(bbox) != 4 or not all(map(is_number, bbox)):
        raise DataError(f"{where}: bbox must be four numbers [x, y, width, height]; correct it")
    return bbox


def area_of(annotation: CocoAnnotation, size: tuple[int, int]) -> Box | None:
    """The box of an annotation that cannot be used, whose pixels nothing is known of; None if that is no box either."""
    try:
        x0, y0, width, height = parse_bbox(annotation.entry, annotation.where)
    except DataError:
        return None
    return usable_area((x0, y0, x0 + width, y0 + height), *size)


def _box(
    annotation: CocoAnnotation,
    segmentation: Segmentation | PackedPolygons | None,
    size: tuple[int, int],
    image_id: str,
    faults: FaultLog,
) -> Box:
    """The box, or the bounds of the mask where there is none."""
    entry = annotation.entry
    bbox = entry.get("bbox")
    if type(bbox) is list and len(bbox) == 4 and _NUMBERS.issuperset(map(type, bbox)):
        x0, y0, width, height = bbox
        if min(bbox) > -_GREATEST and max(bbox) < _GREATEST:  # larger whole numbers are no floats
            box = (x0, y0, x0 + width, y0 + height)
            if is_plain_box(box, *size):
                return box
    where = annotation.where
    if bbox in (None, []) and segmentation:
        faults.repaired(image_id, f"{where}: has no bbox; the bounds of its segmentation are taken")
        box = _bounds(segmentation, size)
    else:
        x0, y0, width, height = parse_bbox(entry, where)
        box = (x0, y0, x0 + width, y0 + height)
    return repaired_box(box, *size, where, partial(faults.repaired, image_id))


def _bounds(segmentation: Segmentation | PackedPolygons, size: tuple[int, int]) -> Box:
    if isinstance(segmentation, dict):
        x0, y0, x1, y1 = mask_bounds(decode_mask(segmentation, size[1], size[0])).tolist()
    else:
        rings = unpack(segmentation) if isinstance(segmentation, tuple) else segmentation
        points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in rings])
        (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, y0, x1, y1


def _segmentation(
    annotation: CocoAnnotation, size: tuple[int, int], image_id: str, faults: FaultLog, *, valid: bool
) -> Segmentation | PackedPolygons | None:
    """The mask, or None where there is none or it cannot be used."""
    segmentation = annotation.entry.get("segmentation")
    if isinstance(segmentation, tuple):
        if valid:
            return segmentation
        segmentation = unpack(segmentation)
    with faults.catch_object(image_id):
        if isinstance(segmentation, list) and (kept := [ring for ring in segmentation if ring != []]) != segmentation:
            faults.leave_out(image_id, DataError(f"{annotation.where}: segmentation has an empty polygon; remove it"))
            segmentation = kept
        return checked_segmentation(segmentation, *size, annotation.where)
    return None


def _flag(annotation: CocoAnnotation, key: str) -> bool:
    value = annotation.entry.get(key, 0)
    if type(value) is int and 0 <= value <= 1:
        return value == 1
    folded = value.strip().casefold() if isinstance(value, str) else value
    if folded is None or folded == "":
        return False
    if isinstance(folded, list | dict) or folded not in _FLAGS:
        raise DataError(f"{annotation.where}: {key} is {value!r:.40}; give 0 or 1")
    return _FLAGS[folded]


def _score(annotation: CocoAnnotation) -> float | None:
    if annotation.entry.get("score") is None:
        return None
    where = annotation.where
    return checked_score(value_of(annotation.entry, "score", float, where), where)


def _points(annotation: CocoAnnotation, box: Box, image_id: str, faults: FaultLog) -> tuple[Point, ...]:
    """The points set in a box: ``points`` is [x, y, v, ...] as keypoints are, v being 1 on the object and 0 beside."""
    where = annotation.where
    with faults.catch_object(image_id):
        points = flat_points(annotation.entry["points"], where)
        kept = inside(points, box)
        if len(kept) < len(points):
            faults.leave_out(image_id, DataError(f"{where}: points has places outside its box; remove them"))
        return kept
    return ()


def _area(entry: dict[str, Any]) -> float | None:
    """The area that the file states; it serves scores of COCO alone, so that one that cannot be read is none."""
    area = entry.get("area")
    return float(area) if is_number(area) else None
