"""Writing YOLO, and YOLO-seg where there are masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import yaml

from bana.data.formats import yolo
from bana.data.formats.yolo_index import read_index
from bana.data.masks import single_polygon_of
from bana.data.records import ClassTable, ImageRecord
from bana.data.simplify import EXACT, Simplification
from bana.data.truth import object_areas, object_masks
from bana.data.writing import DIFFICULT, FRAMES, LABEL_MAPS, POINTS, SCORES, TRACKS, ImageMode, WriteReport, write_image
from bana.errors import DataError, OutputError
from bana.io.files import write_lines, write_text

_NEEDED = ("train", "val")
"""The splits that every data.yaml names."""


def write(
    records: Iterable[ImageRecord],
    classes: ClassTable,
    out: Path,
    split: str,
    *,
    images: ImageMode = "copy",
    simplify: Simplification = EXACT,
) -> WriteReport:
    """Write ``images/<split>``, ``labels/<split>`` and data.yaml, which keeps the splits that it has already.

    Programs want data.yaml to name train and val: where one is missing, the split that is written stands in for it.

    An image whose objects have masks gets one outline an object (YOLO-seg): parts and holes are joined by lines without
    width, and an object without a mask is a rectangle. Outlines are exact unless ``simplify`` allows less. Other images
    get boxes, oriented ones (YOLO-OBB) where they were read so.

    Raises:
        DataError: If an image or mask cannot be read.
        OutputError: If a file cannot be written, or data.yaml has other classes.
    """
    content = {**_known_splits(out / "data.yaml", classes), split: f"images/{split}"}
    report = WriteReport()
    for record in records:
        image = out / "images" / split / (record.image_id + record.suffix)
        write_image(record, image, images, report)
        write_lines(yolo.label_path(image), _lines(record, simplify, report))
    content = content | {name: content.get(name, content[split]) for name in _NEEDED}
    content["names"] = dict(enumerate(classes.names))
    write_text(out / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return report


def _lines(record: ImageRecord, simplify: Simplification, report: WriteReport) -> Iterator[str]:
    masks, areas = object_masks(record), object_areas(record)
    lost = (DIFFICULT, SCORES, POINTS, LABEL_MAPS, TRACKS, FRAMES)
    report.count(record, areas, *lost, crowd="crowd flags, which become ordinary objects")
    side = np.array([record.width, record.height])
    oriented = record.oriented or (None,) * len(record)
    rows = zip(record.boxes.astype(np.float64), record.class_ids, masks, oriented, strict=True)
    for index, (box, class_id, mask, corners) in enumerate(rows):
        if mask is not None and mask.any():
            polygon = single_polygon_of(mask, simplify)
            report.compare(record, index, mask, [polygon])
            report.compare_box(box, mask)
            shares = (np.reshape(polygon, (-1, 2)) / side).clip(0, 1)
        elif any(each is not None for each in areas):
            report.lose("objects without a mask, which become rectangles")
            shares = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2) / side
        elif corners is not None:
            shares = np.reshape(corners, (4, 2)) / side
        else:
            shares = (np.array([(box[:2] + box[2:]) / 2, box[2:] - box[:2]]) / side).clip(0, 1)
        numbers = (f"{share:.7f}".rstrip("0").rstrip(".") for share in shares.ravel())
        yield " ".join([str(class_id - 1), *numbers])


def _known_splits(file: Path, classes: ClassTable) -> dict[str, object]:
    """The splits of a data.yaml that is there already, which must have the same classes, without stand-ins."""
    if not file.is_file():
        return {}
    try:
        index = read_index(file)
    except DataError as error:
        raise OutputError(f"{error}; or choose another folder") from error
    if index.names != dict(enumerate(classes.names)):
        raise OutputError(f"{file}: has other classes than the data to be written; choose another folder")
    known = {name: sources[0] if len(sources) == 1 else sources for name, sources in index.splits.items()}
    stand_ins = [name for name in _NEEDED if known.get(name) in [f"images/{other}" for other in known if other != name]]
    return {name: sources for name, sources in known.items() if name not in stand_ins}
