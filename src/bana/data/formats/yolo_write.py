"""Writing YOLO, and YOLO-seg where there are masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml

from bana.data.formats import yolo
from bana.data.formats.yolo_index import read_index
from bana.data.masks import single_polygon_of
from bana.data.records import BoolArray, ClassTable, ImageRecord
from bana.data.truth import instance_truth
from bana.data.writing import ImageMode, WriteReport, place_image
from bana.errors import DataError, OutputError
from bana.io.files import write_text


def write(
    records: Iterable[ImageRecord], classes: ClassTable, out: Path, split: str, *, images: ImageMode = "copy"
) -> WriteReport:
    """Write ``images/<split>``, ``labels/<split>`` and data.yaml, which keeps the splits that it has already.

    An image whose objects have masks gets one outline an object (YOLO-seg): parts are joined by lines without width,
    holes are filled, and an object without a mask is a rectangle. Other images get boxes.

    Raises:
        DataError: If an image or mask cannot be read.
        OutputError: If a file cannot be written, or data.yaml has other classes.
    """
    content = {**_known_splits(out / "data.yaml", classes), split: f"images/{split}"}
    report = WriteReport()
    for record in records:
        image = out / "images" / split / (record.image_id + record.path.suffix)
        place_image(record, image, images, report)
        write_text(yolo.label_path(image), "".join(f"{line}\n" for line in _lines(record, report)))
    content = {**content, "names": dict(enumerate(classes.names))}
    write_text(out / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return report


def _lines(record: ImageRecord, report: WriteReport) -> list[str]:
    report.lose("the difficult flag", record.difficult.sum())
    report.lose("the crowd flag (written as an ordinary object)", record.crowd.sum())
    if record.scores is not None:
        report.lose("the score", len(record))
    masks = instance_truth(record)
    if record.semantic_path is not None and masks is None:
        report.lose("the label map of an image (there is no mask for each object)")
    report.count(record, sum(mask is not None for mask in masks or []))
    return [
        _line(
            record,
            index,
            _box_values(record, index) if masks is None else _outline(record, index, masks[index], report),
        )
        for index in range(len(record))
    ]


def _line(record: ImageRecord, index: int, shares: Sequence[float]) -> str:
    numbers = (f"{min(max(share, 0.0), 1.0):.7f}".rstrip("0").rstrip(".") for share in shares)
    return " ".join([str(record.class_ids[index] - 1), *numbers])


def _box_values(record: ImageRecord, index: int) -> list[float]:
    """Center and size, as shares of the image's."""
    x0, y0, x1, y1 = (float(corner) for corner in record.boxes[index])
    return [
        (x0 + x1) / 2 / record.width,
        (y0 + y1) / 2 / record.height,
        (x1 - x0) / record.width,
        (y1 - y0) / record.height,
    ]


def _outline(record: ImageRecord, index: int, mask: BoolArray | None, report: WriteReport) -> list[float]:
    """Corners of one polygon, as shares of the image's size; of the box where there is no mask."""
    x0, y0, x1, y1 = (float(corner) for corner in record.boxes[index])
    side = np.array([record.width, record.height])
    if mask is None or not mask.any():
        report.lose("that an object has no mask (written as a rectangle)")
        polygon = [x0, y0, x1, y0, x1, y1, x0, y1]
    else:
        polygon = single_polygon_of(mask)
        report.compare(mask, [polygon])
    points = np.array(polygon).reshape(-1, 2)
    if np.abs(np.array([*points.min(axis=0), *points.max(axis=0)]) - record.boxes[index]).max() > 0.5:
        report.lose("a box that is not the bounds of its mask")
    return [float(share) for share in (points / side).ravel()]


def _known_splits(file: Path, classes: ClassTable) -> dict[str, object]:
    """The splits of a data.yaml that is there already, which must have the same classes."""
    if not file.is_file():
        return {}
    try:
        index = read_index(file)
    except DataError as error:
        raise OutputError(f"{error}; or choose another folder") from error
    if index.names != dict(enumerate(classes.names)):
        raise OutputError(f"{file}: has other classes than the data to be written; choose another folder")
    return {name: sources[0] if len(sources) == 1 else sources for name, sources in index.splits.items()}
