"""From any format to any other, and what the other cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from bana.data.formats import coco_write, dota_write, format_name, labelme_write, voc_write, yolo_write
from bana.data.reading import read_dataset
from bana.data.records import BoxDataset, ClassTable, ImageRecord
from bana.data.simplify import EXACT, Simplification
from bana.data.writing import ImageMode, WriteReport, staged_folder
from bana.errors import SettingsError
from bana.io.faults import OnError, Rejected, write_rejected

WRITERS: dict[str, Callable[..., WriteReport]] = {
    "voc": voc_write.write,
    "coco": coco_write.write,
    "yolo": yolo_write.write,
    "labelme": labelme_write.write,
    "dota": dota_write.write,
}
"""The formats by name, each a function ``write(records, classes, out, split, *, images)``."""

Progress = Callable[[Sequence[ImageRecord]], Iterable[ImageRecord]]

DEFAULT_SPLIT = "train"
"""The name of the split that is written where the source has none."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion did: the source's format, a report for each split, and the images left out."""

    source_format: str
    target_format: str
    reports: dict[str, WriteReport] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The conversion for JSON."""
        return {
            "from": self.source_format,
            "to": self.target_format,
            "splits": {name: report.as_dict() for name, report in self.reports.items()},
            "rejected": len(self.rejected),
        }


def writer(
    to: str, *, polygons: bool = False, images: ImageMode = "copy", simplify: Simplification = EXACT
) -> Callable[..., WriteReport]:
    """The function ``write(records, classes, out, split)`` of a format, with its options set.

    Raises:
        SettingsError: If the format is not known, or has not what is asked of it.
    """
    if to not in WRITERS:
        raise SettingsError(f"format {to!r} is not known; choose one of: {', '.join(WRITERS)}")
    if polygons and to != "coco":
        raise SettingsError(f"--polygons is a choice for coco only; leave it out for {to}")
    options: dict[str, Any] = {"polygons": True} if polygons else {}
    if not simplify.is_exact:
        if to != "yolo" and not polygons:
            remedy = "convert to yolo, or to coco with --polygons"
            raise SettingsError(f"--tolerance and --max-points are for polygons, not for {to}; {remedy}")
        options["simplify"] = simplify
    return partial(WRITERS[to], images=images, **options)


def convert(
    source: Path,
    out: Path,
    to: str,
    *,
    format: str | None = None,
    splits: Sequence[str] = (),
    polygons: bool = False,
    simplify: Simplification = EXACT,
    images: ImageMode = "copy",
    overwrite: bool = False,
    on_error: OnError = "stop",
    strict: bool = False,
    follow_links: bool = False,
    progress: Progress = iter,
) -> Conversion:
    """Read a data set and write it in another format.

    Args:
        source: Folder or file that read_dataset reads.
        out: Folder to write. It appears when all is written.
        to: ``voc``, ``coco``, ``yolo``, ``labelme`` or ``dota``.
        format: Of the source; found if left out.
        splits: To convert; may be left out where read_dataset needs none.
        polygons: Write COCO masks as polygons instead of RLE.
        simplify: How far polygons may be simplified.
        images: Copy or hard-link the images into ``out``, or write annotations only.
        overwrite: Write into ``out`` though it holds something; files of the same names are replaced.
        on_error: ``skip`` leaves out images that cannot be used and names them in ``rejected.jsonl``.
        strict: Whether an object that is repaired or left out is a fault of its image.
        follow_links: Whether images are read that symbolic links lead to outside the data set.
        progress: Wraps the records of each split, to show how far it is.

    Raises:
        DataError: If the source cannot be used.
        OutputError: If ``out`` cannot be written.
        SettingsError: If an option is not allowed.
    """
    to = format_name(to)
    write = writer(to, polygons=polygons, images=images, simplify=simplify)
    how = {"strict": strict, "follow_links": follow_links}
    datasets = [read_dataset(source, split, format, on_error, **how) for split in splits or (None,)]
    _same_classes(datasets)
    rejected = tuple({(each.image_id, each.reason): each for data in datasets for each in data.rejected}.values())
    reports: dict[str, WriteReport] = {}
    with staged_folder(out, overwrite=overwrite) as folder:
        for dataset in datasets:
            split = PurePosixPath(dataset.split or DEFAULT_SPLIT).name
            reports[split] = write(progress(dataset.records), dataset.class_table, folder, split)
        if rejected:
            write_rejected(folder, rejected)
    return Conversion(datasets[0].format, to, reports, rejected)


def _same_classes(datasets: Sequence[BoxDataset]) -> ClassTable:
    first = datasets[0].class_table
    for dataset in datasets[1:]:
        if dataset.class_table != first:
            raise SettingsError(
                f"splits {datasets[0].split} and {dataset.split} have different classes; convert each apart"
            )
    return first
