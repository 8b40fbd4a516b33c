"""PASCAL VOC: one XML file an image, lists of image names as splits, indexed PNGs for the masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bana.data.classes import class_id_of, class_table, listed_classes
from bana.data.formats import cvat
from bana.data.formats.voc_layout import (
    AUGMENTED_MASKS,
    annotation_folder,
    chosen_images,
    folders_of_splits,
    home_of,
    id_of_file,
    image_folders,
)
from bana.data.images import SUFFIXES, image_size
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
from bana.data.paths import (
    FolderFiles,
    chosen_split,
    image_missing,
    last_part,
    named_image,
)
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_xml import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's own classes in the order of its label maps."""


@dataclass(frozen=True)
class Annotation:
    """One XML file: what it says, before classes and sizes are checked."""

    path: Path
    filename: str | None
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


@dataclass(frozen=True)
class VocObject:
    """One ``<object>`` with its place for messages: its box is already 0-based and half-open."""

    where: str
    name: str
    box: Box
    difficult: bool
    oriented: list[float] | None = None


def detect(path: Path) -> bool:
    """Whether ``path`` is a folder in VOC's layout, a folder of XML files, or has such folders as splits."""
    found = path.is_dir() and (annotation_folder(home_of(path)) is not None or bool(folders_of_splits(path)))
    return found and not cvat.detect(path)


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read a data set in VOC's layout.

    Without a split the only image list is read if there is exactly one, else every annotation. The classes are the
    lines of ``labels.txt`` or ``classes.txt`` where there is one; else VOC's twenty where these cover all names; else
    the sorted names of all annotations, whatever the split, so that class ids do not depend on it.

    Raises:
        DataError: If the split is unknown, or an annotation or image cannot be used (see FaultLog).
    """
    home = home_of(path)
    folder = annotation_folder(home)
    names: set[str] = set()
    if folder is None:
        folders = folders_of_splits(path)
        if not folders:
            raise DataError(
                f"{path}: no folder Annotations and no XML files here or in a folder of a split; give the folder that "
                "holds Annotations"
            )
        split, home = chosen_split(path, split, folders)
        folder = folders[split]
        names = {name for each in folders.values() if each != folder for name in _class_names(each)}
        image_ids = [id_of_file(file, folder) for file in sorted(folder.rglob("*.xml"))]
    else:
        image_ids, split = chosen_images(path, folder, split)
    wanted_ids = set(image_ids)
    annotations: dict[str, Annotation] = {}
    for file in sorted(folder.rglob("*.xml")):
        image_id = id_of_file(file, folder)
        # A broken annotation outside the split is no fault of the split.
        log = faults if image_id in wanted_ids else FaultLog("skip")
        annotation = parse_annotation(file, image_id, log)
        if annotation is not None:
            names.update(entry.name for entry in annotation.objects)
            if image_id in wanted_ids:
                annotations[image_id] = annotation
    classes = listed_classes(home) or listed_classes(path) or class_table(names_in_order(names))
    records = []
    for image_id in image_ids:
        with faults.catch(image_id):
            if image_id not in annotations and not faults.has_fault(image_id):
                raise DataError(
                    f"{folder / image_id}.xml: annotation not found; restore it or take {image_id} off the list"
                )
        if not faults.has_fault(image_id):
            record = _record(home, files, annotations[image_id], image_id, classes, faults)
            if record is not None:
                records.append(record)
    return BoxDataset(tuple(records), classes, path, "voc", split, faults.rejected())


def names_in_order(names: set[str]) -> Sequence[str]:
    """VOC's twenty classes where these cover all names, else the names sorted."""
    return CLASSES if names <= set(CLASSES) else sorted(names)


def _class_names(folder: Path) -> set[str]:
    """The names of all objects below a folder whose annotations can be read."""
    log = FaultLog("skip")
    found = (parse_annotation(file, "", log) for file in sorted(folder.rglob("*.xml")))
    return {entry.name for annotation in found if annotation is not None for entry in annotation.objects}


def parse_annotation(path: Path, image_id: str, faults: FaultLog) -> Annotation | None:
    """Parse one XML file; None where it has noted faults."""
    with faults.catch(image_id):
        root = parse_xml(path)
        if root.tag == "annotations":
            raise DataError(f"{path}: is CVAT's own XML, not VOC's; give this file itself, or --format cvat")
        if root.tag != "annotation":
            raise DataError(f"{path}: begins with <{root.tag:.40}>, not with VOC's <annotation>; give another file")
        size = _parse_size(root, path)
        filename = (root.findtext("filename") or "").strip()
        objects = []
        for number, element in enumerate(root.findall("object"), start=1):
            with faults.catch_object(image_id):
                objects.append(parse_object(element, f"{path}: object {number}"))
        if not faults.has_fault(image_id):
            return Annotation(path, filename or None, size, tuple(objects))
    return None


def parse_object(element: Element, where: str) -> VocObject:
    """Read one ``<object>``, turning VOC's 1-based inclusive corners into pixel edges."""
    name = (element.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{where}: has no class name; fill in <name>")
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    corners, turned = element.find("bndbox"), element.find("robndbox")
    if turned is not None:  # roLabelImg's: center, sides, and an angle in radians
        cx, cy, w, h, angle = (_number(turned, tag, where) for tag in ("cx", "cy", "w", "h", "angle"))
        if not all(map(math.isfinite, (cx, cy, w, h, angle))):
            raise DataError(f"{where}: <robndbox> is not finite; correct or remove it")
        oriented = turned_rectangle((cx, cy), (w, h), angle)
        return VocObject(where, name, corner_bounds(oriented), difficult, oriented)
    if corners is None:
        raise DataError(f"{where}: has no <bndbox>; add one or remove the object")
    xmin, ymin, xmax, ymax = (_number(corners, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    return VocObject(where, name, (xmin - 1, ymin - 1, xmax, ymax), difficult)


def _record(
    home: Path, files: FolderFiles, annotation: Annotation, image_id: str, classes: ClassTable, faults: FaultLog
) -> ImageRecord | None:
    where = str(annotation.path)
    with faults.catch(image_id):
        path = _image_path(home, files, annotation, image_id, faults)
        size = annotation.size or image_size(path)
        repair = partial(faults.repaired, image_id)
        objects, ignored = usable_objects(
            annotation.objects,
            lambda entry: _checked_object(entry, size, classes, repair),
            lambda entry: usable_area(entry.box, *size),
            image_id,
            faults,
        )
        if not faults.has_fault(image_id):
            semantic, augmented, instance = (
                _mask(home / name, image_id, files, where)
                for name in ("SegmentationClass", AUGMENTED_MASKS, "SegmentationObject")
            )
            semantic = semantic or augmented
            return make_record(
                image_id, path, size, objects, semantic_path=semantic, instance_path=instance, ignored=ignored
            )
    return None


def _image_path(home: Path, files: FolderFiles, annotation: Annotation, image_id: str, faults: FaultLog) -> Path:
    """The image of an annotation.

    The name of the XML file comes first: <filename> is often stale after files were renamed, or a path on another
    machine. Of several images of that name <filename> says which.
    """
    where, stated = str(annotation.path), last_part(annotation.filename or "")
    folders = image_folders(home, annotation.path.parent)
    for folder in folders:
        found = files.of_stem(folder, image_id)
        if found:
            return files.checked(folder, next((path for path in found if path.name == stated), found[0]), where)
    if annotation.filename is None:
        raise image_missing(f"{image_id}{SUFFIXES[0]}", folders, where)
    repair = partial(faults.repaired, image_id)
    return named_image(files, folders, annotation.filename, where, repair, [stated], ": <filename>")


def _mask(folder: Path, image_id: str, files: FolderFiles, where: str) -> Path | None:
    path = folder / f"{image_id}.png"
    return files.checked(folder, path, where) if path.is_file() else None


def _checked_object(
    entry: VocObject, size: tuple[int, int], classes: ClassTable, repair: Callable[[str], None]
) -> AnnotatedObject:
    class_id = class_id_of(entry.name, classes, entry.where)
    box = repaired_box(entry.box, *size, entry.where, repair)
    return AnnotatedObject(box, class_id, difficult=entry.difficult, oriented=entry.oriented)


def _parse_size(root: Element, path: Path) -> tuple[int, int] | None:
    """Width and height, or None where the annotation leaves them out or says 0, as some tools do."""
    element = root.find("size")
    if element is None:
        return None
    width, height = (_number(element, tag, f"{path}: <size>") for tag in ("width", "height"))
    return None if width == 0 or height == 0 else stated_size(width, height, f"{path}: <size>")


def _number(element: Element, tag: str, where: str) -> float:
    text = (element.findtext(tag) or "").strip()
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{where}: {tag} is {text!r}, not a number; correct it") from error
