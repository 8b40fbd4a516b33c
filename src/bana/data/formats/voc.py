"""PASCAL VOC: one XML file an image, lists of image names as splits, indexed PNGs for the masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from bana.data.classes import class_id_of, class_table, listed_classes, read_lines
from bana.data.images import image_size
from bana.data.objects import AnnotatedObject, Box, checked_box, make_record, stated_size
from bana.data.paths import LinkGuard, checked_name, find_image, image_names, join_names
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's own classes in the order of its label maps."""

_LIST_FOLDERS = ("Segmentation", "Main")


@dataclass(frozen=True)
class Annotation:
    """One XML file: what it says, before classes and sizes are checked."""

    path: Path
    filename: str | None
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


@dataclass(frozen=True)
class VocObject:
    """One ``<object>``: its box is already 0-based and half-open."""

    name: str
    box: Box
    difficult: bool


def detect(path: Path) -> bool:
    """Whether ``path`` is a folder in VOC's layout, or a folder of XML files."""
    return path.is_dir() and _annotation_folder(_home(path)) is not None


def splits(path: Path) -> dict[str, Path]:
    """The image lists by name; where two folders have a list of one name, Segmentation's comes before Main's.

    ``Segmentation/train`` and ``Main/train`` name one of them exactly.
    """
    found: dict[str, Path] = {}
    for folder in _LIST_FOLDERS:
        for file in sorted((_home(path) / "ImageSets" / folder).glob("*.txt")):
            found.setdefault(file.stem, file)
    return found


def read(path: Path, split: str | None, faults: FaultLog) -> BoxDataset:
    """Read a data set in VOC's layout.

    Without a split the only image list is read if there is exactly one, else every annotation. The classes are the
    lines of ``labels.txt`` or ``classes.txt`` where there is one; else VOC's twenty where these cover all names; else
    the sorted names of all annotations, whatever the split, so that class ids do not depend on it.

    Raises:
        DataError: If the split is unknown, or an annotation or image cannot be used (see FaultLog).
    """
    home = _home(path)
    folder = _annotation_folder(home)
    if folder is None:
        raise DataError(f"{path}: no folder Annotations and no XML files here; give the folder that holds Annotations")
    image_ids, split = _image_ids(path, folder, split)
    wanted = set(image_ids)
    annotations: dict[str, Annotation] = {}
    names: set[str] = set()
    for file in sorted(folder.rglob("*.xml")):
        image_id = file.relative_to(folder).with_suffix("").as_posix()
        # A broken annotation outside the split is no fault of the split.
        log = faults if image_id in wanted else FaultLog("skip")
        annotation = parse_annotation(file, image_id, log)
        if annotation is not None:
            names.update(entry.name for entry in annotation.objects)
            if image_id in wanted:
                annotations[image_id] = annotation
    classes = listed_classes(home) or class_table(CLASSES if names <= set(CLASSES) else sorted(names))
    records = []
    links = LinkGuard()
    for image_id in image_ids:
        with faults.catch(image_id):
            if image_id not in annotations and not faults.has_fault(image_id):
                raise DataError(
                    f"{folder / image_id}.xml: annotation not found; restore it or take {image_id} off the list"
                )
        if not faults.has_fault(image_id):
            record = _record(home, links, annotations[image_id], image_id, classes, faults)
            if record is not None:
                records.append(record)
    return BoxDataset(tuple(records), classes, path, "voc", split, faults.rejected())


def parse_annotation(path: Path, image_id: str, faults: FaultLog) -> Annotation | None:
    """Parse one XML file; None where it has noted faults."""
    with faults.catch(image_id):
        root = _parse_xml(path)
        if root.tag == "annotations":
            raise DataError(f"{path}: is CVAT's own XML, not VOC's; export the task as COCO 1.0 instead")
        size = _parse_size(root, path)
        filename = root.findtext("filename")
        objects = []
        for number, element in enumerate(root.findall("object"), start=1):
            with faults.catch(image_id):
                objects.append(parse_object(element, f"{path}: object {number}"))
        if not faults.has_fault(image_id):
            return Annotation(path, filename.strip() if filename else None, size, tuple(objects))
    return None


def parse_object(element: Element, where: str) -> VocObject:
    """Read one ``<object>``, turning VOC's 1-based inclusive corners into pixel edges."""
    name = (element.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{where}: has no class name; fill in <name>")
    corners = element.find("bndbox")
    if corners is None:
        raise DataError(f"{where}: has no <bndbox>; add one or remove the object")
    xmin, ymin, xmax, ymax = (_number(corners, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax"))
    difficult = (element.findtext("difficult") or "0").strip() == "1"
    return VocObject(name, (xmin - 1, ymin - 1, xmax, ymax), difficult)


def _record(
    home: Path, links: LinkGuard, annotation: Annotation, image_id: str, classes: ClassTable, faults: FaultLog
) -> ImageRecord | None:
    where = str(annotation.path)
    with faults.catch(image_id):
        name = checked_name(annotation.filename, f"{where}: <filename>") if annotation.filename else None
        # The name of the XML file comes first: <filename> is often stale after files were renamed.
        names = image_names(image_id) + ([name] if name else [])
        path = find_image(links, _image_folders(home, annotation.path.parent), names, where)
        size = annotation.size or image_size(path)
        objects = []
        for number, entry in enumerate(annotation.objects, start=1):
            with faults.catch(image_id):
                objects.append(_checked_object(entry, size, classes, f"{where}: object {number}"))
        if not faults.has_fault(image_id):
            semantic, instance = (
                _mask(home / name, image_id, links, where) for name in ("SegmentationClass", "SegmentationObject")
            )
            return make_record(image_id, path, size, objects, semantic_path=semantic, instance_path=instance)
    return None


def _mask(folder: Path, image_id: str, links: LinkGuard, where: str) -> Path | None:
    path = folder / f"{image_id}.png"
    return links.checked(folder, path, where) if path.is_file() else None


def _checked_object(entry: VocObject, size: tuple[int, int], classes: ClassTable, where: str) -> AnnotatedObject:
    class_id = class_id_of(entry.name, classes, where)
    return AnnotatedObject(checked_box(entry.box, *size, where), class_id, difficult=entry.difficult)


def _home(path: Path) -> Path:
    """The folder with Annotations in it: ``path`` or, below a VOCdevkit, its only year."""
    for devkit in (path / "VOCdevkit", path):
        years = sorted(folder for folder in devkit.glob("VOC20*") if (folder / "Annotations").is_dir())
        if len(years) == 1:
            return years[0]
        if years:
            raise DataError(
                f"{devkit}: holds {join_names(year.name for year in years)}; give the folder of one of them"
            )
    return path


def _annotation_folder(home: Path) -> Path | None:
    for folder in (home / "Annotations", home / "annotations", home / "labels", home):
        if next(folder.glob("*.xml"), None) or (folder.name == "Annotations" and folder.is_dir()):
            return folder
    return None


def _image_folders(home: Path, annotation_folder: Path) -> list[Path]:
    return [home / "JPEGImages", home / "images", home / "data", annotation_folder, home]


def _image_ids(path: Path, folder: Path, split: str | None) -> tuple[list[str], str | None]:
    lists = splits(path)
    if split is None and len(lists) == 1:
        (split,) = lists
    if split is None:
        return [file.relative_to(folder).with_suffix("").as_posix() for file in sorted(folder.rglob("*.xml"))], None
    exact = _home(path) / "ImageSets" / f"{split}.txt"
    if split not in lists and not (split.startswith(_LIST_FOLDERS) and exact.is_file()):
        raise DataError(f"{path}: has no split {split!r}; choose one of: {join_names(lists)}")
    return parse_list(lists.get(split, exact)), split


def parse_list(path: Path) -> list[str]:
    """The image names of a list file; of a class's list (name and -1, 0 or 1) the images with -1 are left out."""
    image_ids = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if words and words[1:2] != ["-1"]:
            image_ids.append(checked_name(words[0], f"{path}: line {number}"))
    return list(dict.fromkeys(image_ids))


def _parse_xml(path: Path) -> Element:
    try:
        root: Element | None = SafeElementTree.parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: declares a DTD or entities, which may be an attack; remove the declaration"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: is not well-formed XML ({error}); correct or restore it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    if root is None:
        raise DataError(f"{path}: is empty; restore the file")
    return root


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
