"""Labels of images with a georeference: a GeoTIFF of the classes, and a GeoJSON file with one feature per box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bana.data.geo import Georeference, mask_geometry, read_georeference, write_geojson, write_geotiff
from bana.data.records import ClassTable, ImageRecord
from bana.data.truth import instance_truth, object_areas, required_truth
from bana.data.writing import PLACE, WriteReport


def write(records: Iterable[ImageRecord], classes: ClassTable, out: Path) -> WriteReport:
    """Write ``<image>.tif`` and ``<image>.geojson`` of every image that has a georeference.

    Args:
        records: Images with masks, scores and label maps.
        classes: The classes.
        out: The folder.

    Raises:
        DataError: If an image or label map cannot be read.
        OutputError: If a file cannot be written.
        SettingsError: If rasterio is not installed.
    """
    report = WriteReport()
    for record in records:
        georeference = read_georeference(record.path)
        if georeference is None:
            report.lose(PLACE)
            continue
        labels = required_truth(record, classes)
        write_geotiff(out / f"{record.image_id}.tif", labels, georeference, classes.ignore_index)
        write_geojson(out / f"{record.image_id}.geojson", _features(record, classes, georeference))
        report.count(record, object_areas(record))
    return report


def _features(record: ImageRecord, classes: ClassTable, georeference: Georeference) -> Iterator[dict[str, Any]]:
    """A feature for each box in order; one with an empty mask has no geometry."""
    masks = instance_truth(record)
    for number in range(len(record)):
        part = None if masks is None else masks.part(number)
        properties: dict[str, Any] = {
            "class": classes.names[record.class_ids[number] - 1],
            "image": record.image_id,
            "object": number + 1,
            "box": [round(float(corner), 4) for corner in record.boxes[number]],
        }
        if record.scores is not None:
            properties["confidence"] = round(float(record.scores[number]), 6)
        geometry = None if part is None else mask_geometry(*part, georeference)
        yield {"type": "Feature", "geometry": geometry, "properties": properties}
