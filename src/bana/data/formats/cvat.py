"""CVAT for images and for video: one XML file with the shapes of a task, as CVAT itself exports it."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bana.data.formats.cvat_shapes import SHAPES, area_of, class_table_of, number_of, parse_shape
from bana.data.formats.cvat_video import read_tracks
from bana.data.images import image_size
from bana.data.objects import make_record, stated_size, usable_objects
from bana.data.paths import FolderFiles, chosen_split, id_of_name, last_part, named_image
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.errors import DataError
from bana.io.faults import FaultLog
from bana.io.strict_xml import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def detect(path: Path) -> bool:
    """Whether ``path`` is such a file, or a folder with one."""
    return _file(path) is not None


def splits(path: Path) -> dict[str, list[Element]]:
    """The images of each subset; of images without one, and of tracks, the name is ``""``."""
    root = _root(path)
    found: dict[str, list[Element]] = {"": []} if root.find("track") is not None else {}
    for element in root.findall("image"):
        found.setdefault(element.get("subset") or "", []).append(element)
    return found


def read(path: Path, split: str | None, faults: FaultLog, files: FolderFiles) -> BoxDataset:
    """Read boxes, turned boxes, polygons and masks. The classes are the task's labels, else the sorted names of all.

    A file with tracks is one of CVAT for video (``cvat_video``).

    Raises:
        DataError: If it is no such file, the split is unknown, or an image cannot be used (see FaultLog).
    """
    root = _root(path)
    home = path if path.is_dir() else path.parent
    if root.find("track") is not None:
        split, _ = chosen_split(path, split, {"": None})
        classes, frames = read_tracks(root, path, home, faults, files)
        return BoxDataset(frames, classes, path, "cvat", None, faults.rejected())
    classes = class_table_of(root, {shape.get("label", "") for shape in root.findall("image/*") if shape.tag in SHAPES})
    split, images = chosen_split(path, split, splits(path))
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
    sides = [number_of(image, key, where, 0.0) for key in ("width", "height")]
    size = stated_size(sides[0], sides[1], where) if min(sides) > 0 else image_size(path)
    objects, ignored = usable_objects(
        enumerate(image, start=1),
        lambda entry: parse_shape(entry[1], size, classes, f"{where}: shape {entry[0]}", image_id, faults),
        lambda entry: area_of(entry[1], size),
        image_id,
        faults,
    )
    return make_record(image_id, path, size, objects, ignored=ignored)
