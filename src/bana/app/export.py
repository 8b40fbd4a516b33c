"""Exports reviewed labels: in the formats that other tools read, or for ``bana segment`` to train on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bana.app.painting import label_maps, masks_of
from bana.app.workbench import Workbench
from bana.data.convert import DEFAULT_SPLIT, writer
from bana.data.images import open_record_image
from bana.data.masks import decode_mask
from bana.data.records import FloatArray, ImageRecord, pixel_slices
from bana.data.writing import WriteReport, staged_folder
from bana.errors import DataError
from bana.label.boxes import BoxedImage
from bana.label.instances import assemble
from bana.label.output import input_digest, manifest_of, write_labels, write_manifest

Which = Literal["accepted", "not_rejected"]
Format = Literal["coco", "yolo", "labelme", "voc", "training"]

EXPORTS = "exports"
DATA, LABELS = "data", "labels"
"""Folders of an export for training."""


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        folder: Where the files are.
        images: Number of images.
        objects: Number of objects.
        lost: What the format cannot hold, and of how many objects.
        rejected: Why images were left out whose reviews cannot be used, a line each.
    """

    folder: Path
    images: int
    objects: int
    lost: dict[str, int]
    rejected: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The export for JSON."""
        return {**vars(self), "folder": str(self.folder)}


def export(bench: Workbench, format: Format, which: Which) -> Export:
    """Write the reviewed images, with their photographs, to a new folder in ``exports``.

    Args:
        bench: The images.
        format: Of a data set; ``training``: a folder with ``data``, a COCO data set of the corrected boxes, and
            ``labels``, the corrected labels as ``bana label`` writes them.
        which: Images that were accepted, or all that are labeled and were not rejected.

    Raises:
        DataError: If there are none, or one cannot be read.
        OutputError: If they cannot be written.
    """
    chosen, rejected = _chosen(bench, which)
    if not chosen:
        remedy = "accept some first" if which == "accepted" else "wait until some are labeled"
        remedy = f"{len(rejected)} cannot be used, such as {rejected[0]}" if rejected else remedy
        raise DataError(f"nothing to export: no image is {which.replace('_', ' ')}; {remedy}")
    out = _free(bench.folder / EXPORTS, format)
    with staged_folder(out, overwrite=False) as folder:
        if format == "training":
            report = _write(bench, "coco", chosen, folder / DATA)
            _write_labels(bench, chosen, folder / LABELS)
        else:
            report = _write(bench, format, chosen, folder)
    return Export(out, report.images, report.objects, dict(report.lost), tuple(rejected))


def reviewed(bench: Workbench, image_id: str) -> ImageRecord:
    """An image with its boxes and masks as they are reviewed."""
    draft = bench.review(image_id).draft
    return draft.record(bench.record(image_id), masks_of(draft))


def _chosen(bench: Workbench, which: Which) -> tuple[list[str], list[str]]:
    """The ids of the images that are wanted, in order, and why others are not: their reviews cannot be used."""
    chosen, rejected = [], []
    for image_id in bench.image_ids():
        try:
            state = bench.state(image_id)
        except DataError as error:
            rejected.append(str(error))
            continue
        wanted = state == "accepted" if which == "accepted" else state != "rejected"
        if wanted and bench.is_labeled(image_id):
            chosen.append(image_id)
    return chosen, rejected


def _free(folder: Path, name: str) -> Path:
    """The first of ``name-1``, ``name-2``, ... that is not there."""
    number = 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"


def _write(bench: Workbench, format: str, chosen: list[str], out: Path) -> WriteReport:
    records: Iterator[ImageRecord] = (reviewed(bench, image_id) for image_id in chosen)
    split = bench.dataset.split or DEFAULT_SPLIT
    return writer(format)(records, bench.dataset.class_table, out, Path(split).name)


def _write_labels(bench: Workbench, chosen: list[str], out: Path) -> None:
    """Write the labels of the images as ``bana label`` does, so that all that reads those reads these."""
    table = bench.dataset.class_table
    manifest = manifest_of({"name": "review", "of": bench.labeling}, table)
    write_manifest(out, manifest)
    for image_id in chosen:
        draft = bench.review(image_id).draft
        rles = masks_of(draft)
        record = draft.record(bench.record(image_id), rles)
        y_crf, y_ret = label_maps(record, draft, rles, table)
        confidence = np.ones(y_crf.shape, dtype=np.float32)
        if draft.state != "accepted":
            confidence = _box_confidence(record, [each.confidence for each in draft.objects])
        boxed = BoxedImage.of_record(open_record_image(record), record, len(table))
        masks = (decode_mask(rle, record.height, record.width) for rle in rles)
        parts = [mask[place] for mask, place in zip(masks, boxed.places, strict=True)]
        labels = assemble(boxed, table, y_crf, y_ret, confidence, parts=parts)
        digest = input_digest(record, manifest["labeling"])
        write_labels(out, record.image_id, labels, digest, record.track_ids)


def _box_confidence(record: ImageRecord, confidences: list[float]) -> FloatArray:
    """The confidence of each object over its box (H, W), the least where boxes overlap; 1 outside all of them."""
    confidence = np.ones((record.height, record.width), dtype=np.float32)
    for box, value in zip(record.boxes, confidences, strict=True):
        region = pixel_slices(box)
        confidence[region] = np.minimum(confidence[region], value)
    return confidence
