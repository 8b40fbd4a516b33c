"""Predictions of images with a georeference: a GeoTIFF of the classes, and GeoJSON with one feature per region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bana.data.formats import GEO
from bana.data.geo import Georeference, region_geometries, write_geojson, write_georeferenced, write_geotiff
from bana.data.images import image_size
from bana.data.inputs import InputImage
from bana.data.label_maps import LabelMap, read_label_map
from bana.data.prediction_folder import LABELS
from bana.data.records import ClassTable


def write_geo(out: Path, pictures: Iterable[InputImage], classes: ClassTable) -> int:
    """Write ``geo/<picture>.tif`` and ``.geojson`` of every photograph that has a georeference and a label map.

    Args:
        out: The folder of ``bana predict``.
        pictures: The pictures.
        classes: The classes.

    Returns:
        The number of pictures without a georeference.

    Raises:
        DataError: If a picture or label map cannot be read.
        OutputError: If a file cannot be written.
        SettingsError: If rasterio is not installed.
    """

    def write(picture: InputImage, file: Path, georeference: Georeference) -> None:
        labels = read_label_map(file, *image_size(picture.path))
        write_geotiff(out / GEO / f"{picture.name}.tif", labels, georeference, classes.ignore_index)
        features = _features(picture.name, labels, classes, georeference)
        write_geojson(out / GEO / f"{picture.name}.geojson", features)

    return write_georeferenced(pictures, lambda picture: out / LABELS / f"{picture.name}.png", write)


def _features(name: str, labels: LabelMap, classes: ClassTable, georeference: Georeference) -> Iterator[dict[str, Any]]:
    for label, geometry in region_geometries(labels, georeference):
        properties = {"class": classes.names[label - 1], "image": name}
        yield {"type": "Feature", "geometry": geometry, "properties": properties}
