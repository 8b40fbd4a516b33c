"""Objects found in images with a georeference: a GeoJSON file with one feature per object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bana.data.formats import GEO
from bana.data.geo import Georeference, mask_geometry, write_geojson, write_georeferenced
from bana.data.inputs import InputImage
from bana.data.masks import decode_part
from bana.data.records import ClassTable
from bana.engine.prediction import entry_path
from bana.io.strict_json import read_json_object


def write_geo(out: Path, pictures: Iterable[InputImage], classes: ClassTable) -> int:
    """Write ``geo/<picture>.geojson`` of every photograph that has a georeference and was searched.

    Args:
        out: The folder of ``bana predict``.
        pictures: The pictures.
        classes: The classes.

    Returns:
        The number of pictures without a georeference.

    Raises:
        DataError: If a picture or its entry cannot be read.
        OutputError: If a file cannot be written.
        SettingsError: If rasterio is not installed.
    """

    def write(picture: InputImage, file: Path, georeference: Georeference) -> None:
        features = _features(picture.name, read_json_object(file), classes, georeference)
        write_geojson(out / GEO / f"{picture.name}.geojson", features)

    return write_georeferenced(pictures, lambda picture: out / entry_path(picture.name), write)


def _features(
    name: str, entry: dict[str, Any], classes: ClassTable, georeference: Georeference
) -> Iterator[dict[str, Any]]:
    for each in entry["objects"]:
        part = decode_part(each["segmentation"], entry["height"], entry["width"])
        x, y, width, height = each["bbox"]
        properties = {
            "class": classes.names[each["category_id"] - 1],
            "image": name,
            "box": [x, y, round(x + width, 3), round(y + height, 3)],
            "confidence": each["score"],
        }
        yield {"type": "Feature", "geometry": mask_geometry(*part, georeference), "properties": properties}
