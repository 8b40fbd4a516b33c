"""Georeferences: kept in GeoTIFF, and polygons where they belong on the earth."""

import itertools
import json
import sys

import numpy as np
import pytest
from PIL import Image

from bana.data.geo import (
    Georeference,
    mask_geometry,
    read_georeference,
    region_geometries,
    write_geojson,
    write_geotiff,
)
from bana.errors import DataError, SettingsError

rasterio = pytest.importorskip("rasterio")
transform = pytest.importorskip("rasterio.transform")
warp = pytest.importorskip("rasterio.warp")

UTM = "EPSG:32632"
PLACE = transform.from_origin(500_000, 5_400_000, 0.5, 0.25)


def write(path, crs=UTM, affine=PLACE, bands=3):
    profile = {"driver": "GTiff", "count": bands, "height": 40, "width": 60, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=crs, transform=affine, **profile) as file:
        file.write(np.random.default_rng(0).integers(0, 256, (bands, 40, 60), dtype=np.uint8))
    return path


def corners_of(geometry):
    """The vertices of a geometry in UTM, rounded to a centimeter."""
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [
        [
            {
                (round(x, 2), round(y, 2))
                for x, y in zip(*warp.transform("EPSG:4326", UTM, *zip(*ring, strict=False)), strict=True)
            }
            for ring in rings
        ]
        for rings in parts
    ]


def area(ring):
    """Twice the signed area: positive where a ring runs counterclockwise."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise(ring))


def test_a_label_map_keeps_the_georeference(tmp_path):
    found = read_georeference(write(tmp_path / "a.tif"))
    labels = np.random.default_rng(1).integers(0, 4, (40, 60)).astype(np.uint8)
    labels[0, 0] = 255
    write_geotiff(tmp_path / "out/b.tif", labels, found, 255)
    with rasterio.open(tmp_path / "out/b.tif") as file:
        assert file.crs == UTM
        assert file.transform == PLACE
        assert file.nodata == 255
        assert file.colormap(1)[1] == (128, 0, 0, 255)
        np.testing.assert_array_equal(file.read(1), labels)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.tif"]


def test_more_than_255_classes_are_kept(tmp_path):
    labels = np.full((40, 60), 300, np.uint16)
    write_geotiff(tmp_path / "b.tif", labels, Georeference(UTM, PLACE), 65535)
    with rasterio.open(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.read(1), labels)


def test_a_polygon_lies_where_its_pixels_are():
    part = np.ones((6, 8), bool)
    part[2:4, 3:5] = False
    geometry = mask_geometry((slice(10, 16), slice(20, 28)), part, Georeference(UTM, PLACE))
    assert geometry["type"] == "Polygon"
    outer, hole = corners_of(geometry)[0]
    east, north = 500_000 + 0.5 * np.array([20, 28, 23, 25]), 5_400_000 - 0.25 * np.array([10, 16, 12, 14])
    assert outer == {(x, y) for x in east[:2] for y in north[:2]}
    assert hole == {(x, y) for x in east[2:] for y in north[2:]}


@pytest.mark.parametrize("height", [0.25, -0.25])
def test_outer_rings_run_counterclockwise_and_holes_clockwise(height):
    part = np.ones((6, 8), bool)
    part[2:4, 3:5] = False
    reference = Georeference(UTM, transform.from_origin(500_000, 5_400_000, 0.5, height))
    outer, hole = mask_geometry((slice(0, 6), slice(0, 8)), part, reference)["coordinates"]
    assert area(outer) > 0
    assert area(hole) < 0


def test_parts_become_one_multipolygon_and_no_pixel_none():
    part = np.zeros((6, 8), bool)
    place = slice(0, 6), slice(0, 8)
    assert mask_geometry(place, part, Georeference(UTM, PLACE)) is None
    assert mask_geometry((slice(0, 0), slice(0, 0)), part[:0, :0], Georeference(UTM, PLACE)) is None
    part[0, 0] = part[1, 1] = part[5, 7] = True
    geometry = mask_geometry(place, part, Georeference(UTM, PLACE))
    assert geometry["type"] == "MultiPolygon"
    assert len(geometry["coordinates"]) == 3  # pixels that touch at a corner are two polygons


def test_every_region_of_a_label_map_has_its_label():
    labels = np.zeros((40, 60), np.uint8)
    labels[3:5, 4:9] = 2
    labels[3:5, 9:12] = 1
    labels[30:, 50:] = 2
    found = list(region_geometries(labels, Georeference(UTM, PLACE)))
    assert sorted(label for label, _ in found) == [1, 2, 2]
    (first,) = [corners_of(geometry)[0][0] for label, geometry in found if label == 1]
    assert first == {(x, y) for x in (500_004.5, 500_006) for y in (5_399_999.25, 5_399_998.75)}


def test_images_without_a_place_have_no_georeference(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    Image.new("RGB", (60, 40)).save(tmp_path / "a.webp")
    assert read_georeference(tmp_path / "a.png") is None
    assert read_georeference(tmp_path / "a.webp") is None
    assert read_georeference(write(tmp_path / "b.tif", crs=None)) is None
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "c.tif", exif=exif)
    assert read_georeference(tmp_path / "c.tif") is None
    with pytest.raises(DataError, match=r"none\.tif: image not found"):
        read_georeference(tmp_path / "none.tif")


def test_a_file_that_points_elsewhere_is_not_followed(tmp_path):
    write(tmp_path / "a.tif")
    text = '<VRTDataset rasterXSize="60" rasterYSize="40"><SRS>EPSG:4326</SRS><GeoTransform>1,1,0,1,0,1</GeoTransform>'
    (tmp_path / "b.tif").write_text(text + "</VRTDataset>")
    with pytest.raises(DataError, match=r"b\.tif"):
        read_georeference(tmp_path / "b.tif")


def test_features_are_one_collection(tmp_path):
    write_geojson(tmp_path / "a.geojson", iter([{"type": "Feature", "geometry": None, "properties": {}}]))
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content == {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "geometry": None, "properties": {}}],
    }


def test_without_rasterio_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(SettingsError, match=r"needs the package rasterio; pip install '\.\[geo\]'"):
        read_georeference(tmp_path / "a.tif")
