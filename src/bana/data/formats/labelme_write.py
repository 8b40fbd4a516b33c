"""Writing labelme."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.classes import BACKGROUND, CLASS_FILE
from bana.data.label_maps import png
from bana.data.masks import mask_bounds
from bana.data.outlines import trace
from bana.data.records import BoolArray, ClassTable, ImageRecord, Point
from bana.data.truth import object_areas, object_masks
from bana.data.writing import FRAMES, LABEL_MAPS, TRACKS, ImageMode, WriteReport, write_image
from bana.io.files import write_json, write_lines

_VERSION = "5.5.0"
"""The version of labelme whose fields are written."""


def write(
    records: Iterable[ImageRecord], classes: ClassTable, out: Path, split: str, *, images: ImageMode = "copy"
) -> WriteReport:
    """Write a folder ``<split>`` of images with a JSON file beside each, and ``labels.txt``.

    An object is a rectangle, or polygons of one ``group_id`` where it has a mask, or a mask shape where that has
    holes, which polygons cannot hold. Difficult and crowd are flags of the shape, the score stands beside them. Points
    set in its box are shapes of its ``group_id``, labeled ``_background_`` where they are beside it.

    Raises:
        DataError: If an image or mask cannot be read.
        OutputError: If a file cannot be written.
    """
    report = WriteReport()
    for record in records:
        image = out / split / (record.image_id + record.suffix)
        write_image(record, image, images, report)
        masks = object_masks(record)
        report.count(record, object_areas(record), LABEL_MAPS, TRACKS, FRAMES)
        shapes = [shape for index, mask in enumerate(masks) for shape in _shapes(record, index, mask, classes, report)]
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": record.height,
            "imageWidth": record.width,
        }
        write_json(out / split / f"{record.image_id}.json", content, indent=2)
    write_lines(out / CLASS_FILE, classes.names)
    return report


def _shapes(
    record: ImageRecord, index: int, mask: BoolArray | None, classes: ClassTable, report: WriteReport
) -> list[dict[str, Any]]:
    """The shapes of one object."""
    box = record.boxes[index]
    flags = {"difficult": bool(record.difficult[index]), "crowd": bool(record.crowd[index])}
    common: dict[str, Any] = {
        "label": classes.names[record.class_ids[index] - 1],
        "description": "",
        "flags": {key: True for key, is_set in flags.items() if is_set},
    }
    if record.scores is not None:
        common["score"] = round(float(record.scores[index]), 6)
    if mask is None or not mask.any():
        if mask is not None:
            report.lose("empty masks, which become rectangles")
        corners = record.oriented[index] if record.oriented else None
        points = [box[:2], box[2:]] if corners is None else list(np.reshape(corners, (4, 2)))
        kind = "rectangle" if corners is None else "rotation"
        geometry = [{"shape_type": kind, "points": [_rounded(point) for point in points], "group_id": None}]
    else:
        geometry = _mask_shapes(mask, index + 1)
        report.compare_box(box, mask)
    set_points = record.points[index] if record.points else ()
    group = {"group_id": index + 1} if set_points else {}
    return [common | shape | group for shape in geometry] + [
        _point_shape(point, common["label"], index + 1) for point in set_points
    ]


def _point_shape(point: Point, label: str, group: int) -> dict[str, Any]:
    """A point that was set in a box."""
    return {
        "label": label if point.is_object else BACKGROUND,
        "description": "",
        "flags": {},
        "shape_type": "point",
        "points": [[point.x, point.y]],
        "group_id": group,
    }


def _mask_shapes(mask: BoolArray, group: int) -> list[dict[str, Any]]:
    """Polygons for a mask without holes, else one mask shape: a PNG of the mask between its inclusive corners."""
    outlines = trace(mask)
    if outlines.holes:
        left, top, right, bottom = (int(edge) for edge in mask_bounds(mask))
        points = [[left, top], [right - 1, bottom - 1]]
        text = base64.b64encode(png(Image.fromarray(mask[top:bottom, left:right]))).decode("ascii")
        return [{"shape_type": "mask", "points": points, "group_id": None, "mask": text}]
    group_id = group if len(outlines.parts) > 1 else None
    return [
        {"shape_type": "polygon", "points": ring.astype(float).tolist(), "group_id": group_id}
        for ring in outlines.parts
    ]


def _rounded(point: npt.NDArray[np.floating]) -> list[float]:
    return [round(float(value), 4) for value in point]
