"""Images with a place on the earth: label maps as GeoTIFF, masks as polygons in GeoJSON (RFC 7946). Needs rasterio."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bana.data.formats import GEO
from bana.data.images import is_upright
from bana.data.inputs import InputImage
from bana.data.label_maps import LabelMap, voc_palette
from bana.data.records import BoolArray
from bana.extras import needed
from bana.io.files import write_bytes, write_json

_DRIVERS = {
    **dict.fromkeys((".tif", ".tiff"), "GTiff"),
    **dict.fromkeys((".jp2", ".j2k"), "JP2OpenJPEG"),
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    ".png": "PNG",
}
"""GDAL's drivers by the file's ending, since a driver of its own choice may follow a file to others and to the network.
"""

_DIGITS = 9
"""Decimals of degrees in GeoJSON: a tenth of a millimeter."""

_TILE = 512


def require_rasterio(what: str) -> None:
    """Raise SettingsError if rasterio is not installed; ``what`` needs it."""
    needed("rasterio", GEO, what)


@dataclass(frozen=True)
class Georeference:
    """Where an image lies.

    Attributes:
        crs: Its coordinate reference system, as rasterio has it.
        transform: The affine transform from pixels (column, row), counted from the top left corner, to it.
    """

    crs: Any
    transform: Any


def read_georeference(path: Path) -> Georeference | None:
    """The georeference of an image file; None where it has none, or is not stored upright, as bana sees it.

    Raises:
        DataError: If the file is missing or is not an image.
        SettingsError: If rasterio is not installed.
    """
    rasterio = needed("rasterio", GEO, str(path))
    driver = _DRIVERS.get(path.suffix.lower())
    if not is_upright(path) or driver is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(path.absolute(), driver=driver) as file:
                found = Georeference(file.crs, file.transform)
        except rasterio.errors.RasterioIOError:  # Pillow reads more of some formats
            return None
    return None if found.crs is None or found.transform.is_identity else found


def write_georeferenced(
    pictures: Iterable[InputImage],
    result: Callable[[InputImage], Path],
    write: Callable[[InputImage, Path, Georeference], None],
) -> int:
    """Call ``write(picture, file, georeference)`` for every photograph that has a result and a georeference.

    Args:
        pictures: The pictures.
        result: The file of a picture's result, which may not be there.
        write: Writes what is wanted of it.

    Returns:
        The number of pictures that have a result and no georeference.

    Raises:
        DataError: If a picture cannot be read.
        SettingsError: If rasterio is not installed.
    """
    without = 0
    for picture in pictures:
        file = result(picture)
        if not file.is_file():
            continue
        georeference = read_georeference(picture.path) if picture.frame is None else None
        if georeference is None:
            without += 1
        else:
            write(picture, file, georeference)
    return without


def write_geotiff(path: Path, labels: LabelMap, georeference: Georeference, ignore_index: int) -> None:
    """Write a label map (H, W) as GeoTIFF of one band with VOC's colors; the ignore label is its "no data".

    Raises:
        OutputError: If it cannot be written.
    """
    io = needed("rasterio.io", GEO, str(path))
    height, width = labels.shape
    profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": labels.dtype.name}
    profile |= {"crs": georeference.crs, "transform": georeference.transform, "nodata": ignore_index}
    profile |= {"compress": "deflate", "tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    with io.MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(labels, 1)
            if labels.dtype == np.uint8:
                file.write_colormap(1, {label: (*color, 255) for label, color in enumerate(voc_palette().tolist())})
        write_bytes(path, bytes(memory.getbuffer()))


def write_geojson(path: Path, features: Iterable[Mapping[str, Any]]) -> None:
    """Write features as a FeatureCollection. Raises OutputError if it cannot be written."""
    write_json(path, {"type": "FeatureCollection", "features": list(features)})


def mask_geometry(place: tuple[slice, slice], part: BoolArray, georeference: Georeference) -> dict[str, Any] | None:
    """The polygons along the pixels' edges of a mask, with their holes, in longitude and latitude (WGS 84).

    Args:
        place: The rows and columns of the part.
        part: bool (h, w), outside of which the mask has no pixel.
        georeference: That of the image.

    Returns:
        A Polygon or MultiPolygon of GeoJSON; None where the mask is empty.
    """
    if not part.any():
        return None
    polygons = [rings for _, rings in _polygons(part.astype(np.uint8), place, georeference)]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def region_geometries(labels: LabelMap, georeference: Georeference) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the label of each connected region of a label map (H, W), 0 left out, and its Polygon in WGS 84."""
    everywhere = slice(0, labels.shape[0]), slice(0, labels.shape[1])
    for label, rings in _polygons(labels, everywhere, georeference):
        yield label, {"type": "Polygon", "coordinates": rings}


def _polygons(
    values: LabelMap, place: tuple[slice, slice], georeference: Georeference
) -> Iterator[tuple[int, list[Any]]]:
    """The value of each connected region that is not 0, and its rings: the outer one, then its holes."""
    features, warp = (needed(f"rasterio.{name}", GEO, "polygons") for name in ("features", "warp"))
    affine = georeference.transform
    down, across = place[0].start, place[1].start
    a, b, left, d, e, top = tuple(affine)[:6]
    corner = type(affine)(a, b, left + a * across + b * down, d, e, top + d * across + e * down)
    for region, value in features.shapes(values, mask=values > 0, connectivity=4, transform=corner):
        if affine.determinant > 0:  # rows go north, and RFC 7946 wants outer rings counterclockwise
            region = {**region, "coordinates": [ring[::-1] for ring in region["coordinates"]]}
        moved = warp.transform_geom(georeference.crs, "EPSG:4326", region, precision=_DIGITS)
        parts = moved["coordinates"] if moved["type"] == "MultiPolygon" else [moved["coordinates"]]
        for rings in parts:  # several where the antimeridian cuts it
            yield int(value), rings
