"""Reading a data set in any format."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import ModuleType

from bana.data.formats import coco, cvat, dota, format_name, labelme, mot, voc, voc_layout, yolo
from bana.data.images import open_record_image
from bana.data.paths import SPLIT_FOLDERS, FolderFiles, chosen_split, normal
from bana.data.pixel_values import read_pixel_values
from bana.data.records import BoxDataset, ImageRecord
from bana.errors import DataError, SettingsError
from bana.io.faults import FaultLog, OnError, Rejected

_logger = logging.getLogger(__name__)

FORMATS: dict[str, ModuleType] = {
    **{"voc": voc, "coco": coco, "yolo": yolo},
    **{"labelme": labelme, "cvat": cvat, "dota": dota, "mot": mot},
}
"""The formats by name, each a module with ``detect``, ``splits`` and ``read``."""

LAYOUTS = {
    "voc": "Annotations/*.xml or *.xml",
    "coco": "*.json, annotations/*.json or _annotations.coco.json",
    "yolo": "data.yaml, obj.data, or classes.txt with images and text files",
    "labelme": "*.json beside images",
    "cvat": "annotations.xml",
    "dota": "images and labelTxt/*.txt",
    "mot": "gt/gt.txt or det/det.txt beside the frames, in itself or in folders of sequences",
}
"""What a data set of each format is known by."""


_PARTS = {
    *("annotations", "imagesets", "jpegimages", "segmentationclass", "segmentationobject"),
    *("images", "labels", "labeltxt", *SPLIT_FOLDERS),
}
"""Names of folders in a data set, in small letters."""


def read_dataset(
    path: str | PathLike[str],
    split: str | None = None,
    format: str | None = None,
    on_error: OnError = "stop",
    *,
    strict: bool = False,
    follow_links: bool = False,
) -> BoxDataset:
    """Read a data set of images with boxes.

    Args:
        path: A folder, or a COCO JSON file or YOLO data.yaml.
        split: The part to read, such as ``train``. May be left out where there is only one.
        format: ``voc``, ``coco``, ``yolo``, ``labelme``, ``cvat``, ``dota`` or ``mot``; found from what is there if
            left out.
        on_error: ``stop`` raises on the first image that cannot be used; ``skip`` leaves it out and notes it in
            ``rejected``.
        strict: Whether an object that cannot be used, or is used after a repair, is a fault of its image. Otherwise it
            is in ``notes``, and a warning is logged.
        follow_links: Whether images are read that symbolic links lead to outside the data set.

    Raises:
        DataError: If the data set, the split or an image of it cannot be used, or no boxes are left.
        SettingsError: If ``format`` or ``on_error`` is not known.
    """
    root = Path(path)
    faults = FaultLog(on_error, strict=strict)
    dataset = require_boxes(read_with(faults, root, split, format, follow_links=follow_links))
    tell_notes(dataset)
    return dataset


def tell_notes(dataset: BoxDataset) -> None:
    """Log a warning of what was repaired and left out, if anything was."""
    counts = Counter(note.kind for note in dataset.notes)
    if counts:
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        _logger.warning("%s: %s (the first: %s); bana check lists them", dataset.root, listed, dataset.notes[0].reason)


def read_with(
    faults: FaultLog,
    root: Path,
    split: str | None = None,
    format: str | None = None,
    *,
    follow_links: bool = False,
) -> BoxDataset:
    """Read a data set as read_dataset does, with every fault noted in ``faults``; it may have no images or boxes.

    Raises:
        DataError: If the data set or split as a whole cannot be read.
        SettingsError: If ``format`` is not known.
    """
    files = FolderFiles(follow_links=follow_links)
    dataset: BoxDataset = FORMATS[format_of(root, format)].read(root, split, faults, files)
    values = read_pixel_values(root)
    records = dataset.records if values.is_default else tuple(replace(each, values=values) for each in dataset.records)
    return replace(dataset, records=records, notes=tuple(faults.notes), values=values)


def format_of(root: Path, wanted: str | None = None) -> str:
    """The name of the data set's format: ``wanted``, or the one whose layout is found.

    Raises:
        DataError: If the path is missing, or has the layout of no format or of several.
        SettingsError: If ``wanted`` is not a format.
    """
    wanted = None if wanted is None else format_name(wanted)
    if wanted is not None and wanted not in FORMATS:
        raise SettingsError(f"format {wanted!r} is not known; choose one of: {', '.join(FORMATS)}")
    if not root.exists():
        raise DataError(f"{root}: no such file or folder; check the path")
    if wanted is not None:
        return wanted
    found = [name for name, module in FORMATS.items() if module.detect(root)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{root}: looks like {' and '.join(found)}; say which with --format")
    if yolo.lacks_classes(root):
        remedy = "add classes.txt with a name a line"
        raise DataError(f"{root}: has text files beside its images, as YOLO has, but no list of classes; {remedy}")
    if (around := _data_set_around(root)) is not None:
        raise DataError(f"{root}: is a part of the data set {around}; give that folder")
    looked = "; ".join(f"{name}: {place}" for name, place in LAYOUTS.items())
    raise DataError(
        f"{root}: holds no data set that is known; looked here and in folders of splits for {looked}; check the path "
        "or say --format"
    )


def require_split(root: Path, split: str, format: str | None = None) -> None:
    """Look for a split without reading the data set: it takes no time, and nothing slow is imported.

    Raises:
        DataError: If the data set or the split is not there.
        SettingsError: If ``format`` is not known.
    """
    name = format_of(root, format)
    if name != "voc":
        chosen_split(root, split, FORMATS[name].splits(root))
    else:
        voc_layout.require_split(root, split)


def _data_set_around(root: Path) -> Path | None:
    """The data set that a folder is a part of, by the folder's name and what is around it; None if there is none."""
    folder = normal(root.parent if root.is_file() else root)
    while folder.name.casefold() in _PARTS:
        folder = folder.parent
        with suppress(DataError):
            if any(module.detect(folder) for module in FORMATS.values()):
                return folder
    return None


def require_boxes(dataset: BoxDataset) -> BoxDataset:
    """The data set itself, if it has images and boxes.

    Raises:
        DataError: If it has none.
    """
    split = f" split {dataset.split!r}" if dataset.split else ""
    reasons = [each.reason for each in dataset.rejected] + [each.reason for each in dataset.notes]
    left_out = f" ({len(reasons)} left out, the first: {reasons[0]})" if reasons else ""
    if not dataset.records:
        raise DataError(f"{dataset.root}:{split} has 0 images{left_out}; check the path and the split")
    if not any(len(record) for record in dataset):
        raise DataError(f"{dataset.root}:{split} has no boxes in {len(dataset)} images{left_out}; add annotations")
    return dataset


def valid_records(
    dataset: BoxDataset, wanted: Callable[[ImageRecord], bool], on_error: OnError
) -> tuple[list[ImageRecord], tuple[Rejected, ...]]:
    """The images that open fully and are wanted, and those left out because of a fault.

    Args:
        dataset: The images.
        wanted: Checks all else that an image needs, and says whether it is of use; raises DataError at a fault.
        on_error: ``stop`` at the first fault, or ``skip``.

    Raises:
        DataError: If an image cannot be used (``stop``).
    """
    faults = FaultLog(on_error)
    records = []
    for record in dataset:
        with faults.catch(record.image_id):
            open_record_image(record)
            if wanted(record):
                records.append(record)
    return records, (*dataset.rejected, *faults.rejected())
