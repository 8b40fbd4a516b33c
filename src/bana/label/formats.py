"""Labels in the formats that other tools read: COCO, YOLO, LabelMe, VOC, GeoTIFF and GeoJSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bana.data.convert import DEFAULT_SPLIT, writer
from bana.data.formats import GEO, format_name
from bana.data.geo import require_rasterio
from bana.data.label_folder import LabelFolder
from bana.data.masks import encode_part
from bana.data.records import BoxDataset, ImageRecord, pixel_slices
from bana.data.writing import ImageMode, WriteReport
from bana.errors import SettingsError
from bana.io.remote import AnyPath
from bana.label import geo


def format_writers(
    formats: Sequence[str], out: AnyPath, local: bool, images: ImageMode
) -> dict[str, Callable[[BoxDataset], WriteReport]]:
    """For each format a function that writes the labels of a data set's images to a folder of that name in ``out``.

    Args:
        formats: ``coco``, ``yolo``, ``labelme``, ``voc`` or ``geo``, which never holds images.
        out: The label folder.
        local: Whether images and labels are files of this machine, since the writers open both.
        images: Whether images are put beside the annotations.

    Raises:
        SettingsError: If a format is not known or its package is missing, ``local`` is false, or there are images
            without a format.
    """
    if images != "none" and not set(formats) - {GEO}:
        raise SettingsError(f"--images {images}: puts images beside --formats; name one, such as --formats coco")
    if formats and not local:
        raise SettingsError(f"--formats {formats[0]}: needs a local DATA and --out; ask for it on copies of both")
    names = dict.fromkeys(map(format_name, formats))
    if GEO in names:
        require_rasterio(f"--formats {GEO}")
    return {
        name: partial(_write_geo, out) if name == GEO else partial(_write, writer(name, images=images), out, name)
        for name in names
    }


def labeled_records(dataset: BoxDataset, out: Path) -> Iterator[ImageRecord]:
    """Yield the records with the masks and scores of a label folder.

    Raises:
        DataError: If labels of an image are missing or damaged.
    """
    folder = LabelFolder(out)
    for record in dataset:
        boxes = folder.boxes(record)
        agreed = folder.label_map("agreed", record) <= len(folder.classes)
        places = [pixel_slices(box) for box in record.boxes]
        yield replace(
            record,
            segmentations=tuple(box.mask for box in boxes),
            reliable=tuple(encode_part(place, agreed[place], (record.height, record.width)) for place in places),
            scores=np.array([box.score for box in boxes], dtype=np.float32),
            semantic_path=out / "y_crf" / f"{record.image_id}.png",
            instance_path=None,
        )


def _write(write: Callable[..., WriteReport], labels: Any, name: str, dataset: BoxDataset) -> WriteReport:
    return write(
        labeled_records(dataset, labels), dataset.class_table, labels / name, Path(dataset.split or DEFAULT_SPLIT).name
    )


def _write_geo(labels: Any, dataset: BoxDataset) -> WriteReport:
    return geo.write(labeled_records(dataset, labels), dataset.class_table, labels / GEO)
