"""Writing DOTA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bana.data.classes import CLASS_FILE
from bana.data.formats.dota import LABELS
from bana.data.records import ClassTable, ImageRecord
from bana.data.truth import object_areas
from bana.data.writing import FRAMES, LABEL_MAPS, MASKS, POINTS, SCORES, TRACKS, ImageMode, WriteReport, write_image
from bana.io.files import write_lines


def write(
    records: Iterable[ImageRecord], classes: ClassTable, out: Path, split: str, *, images: ImageMode = "copy"
) -> WriteReport:
    """Write ``<split>/images``, ``<split>/labelTxt`` and ``labels.txt``; masks are lost.

    Raises:
        DataError: If an image cannot be read.
        OutputError: If a file cannot be written.
    """
    report = WriteReport()
    for record in records:
        write_image(record, out / split / "images" / (record.image_id + record.suffix), images, report)
        write_lines(out / split / LABELS / f"{record.image_id}.txt", _lines(record, classes))
        masks = sum(area is not None for area in object_areas(record))
        report.lose(MASKS, masks)
        lost = (SCORES, POINTS, TRACKS, FRAMES, *(() if masks else (LABEL_MAPS,)))
        report.count(record, [None] * len(record), *lost, crowd="crowd flags, which become ordinary objects")
    write_lines(out / CLASS_FILE, classes.names)
    return report


def _lines(record: ImageRecord, classes: ClassTable) -> Iterator[str]:
    oriented = record.oriented or (None,) * len(record)
    rows = zip(record.boxes.tolist(), oriented, record.class_ids.tolist(), record.difficult.tolist(), strict=True)
    for (x0, y0, x1, y1), corners, class_id, difficult in rows:
        numbers = corners or (x0, y0, x1, y0, x1, y1, x0, y1)
        texts = (f"{number:.4f}".rstrip("0").rstrip(".") for number in numbers)
        yield " ".join([*texts, classes.names[class_id - 1], str(int(difficult))])
