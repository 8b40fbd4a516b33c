"""`bana predict --export geo`: label maps and regions where the image lies."""

import json
import sys

import numpy as np
import pytest

from bad_data import refused
from bana.data.label_maps import read_label_map
from shapes_data import CLASSES, IMAGES, draw

rasterio = pytest.importorskip("rasterio")
warp = pytest.importorskip("rasterio.warp")
features = pytest.importorskip("rasterio.features")

PLACE = rasterio.Affine(2, 0, 400_000, 0, -2, 5_500_000)
QUICK = ("--scales", "1.75", "--no-crf", "--no-flip", "--workers", 1)
SIZE, SHAPES = IMAGES["b"]


@pytest.fixture
def images(tmp_path, shapes_voc):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "plain.jpg").write_bytes((shapes_voc / "JPEGImages/a.jpg").read_bytes())
    profile = {"driver": "GTiff", "count": 3, "height": SIZE[1], "width": SIZE[0], "dtype": "uint8"}
    with rasterio.open(folder / "b.tif", "w", crs="EPSG:25832", transform=PLACE, **profile) as file:
        file.write(np.moveaxis(draw(SIZE, SHAPES, 0), 2, 0))
    return folder


def test_label_maps_and_regions_keep_their_place(run_cli, tiny_segment_run, images, tmp_path):
    out = tmp_path / "out"
    answer = run_cli("predict", tiny_segment_run, images, "--out", out, *QUICK, "--export", "geo")
    assert answer.status == 0
    assert "1 pictures have no georeference" in answer.err
    assert sorted(path.name for path in (out / "geo").iterdir()) == ["b.geojson", "b.tif"]
    labels = read_label_map(out / "labels/b.png", *SIZE)
    assert labels.any()
    with rasterio.open(out / "geo/b.tif") as file:
        assert (file.crs, file.transform) == ("EPSG:25832", PLACE)
        np.testing.assert_array_equal(file.read(1), labels)
    again = np.zeros_like(labels)
    for feature in json.loads((out / "geo/b.geojson").read_text())["features"]:
        moved = warp.transform_geom("EPSG:4326", "EPSG:25832", feature["geometry"])
        inside = features.rasterize([moved], out_shape=labels.shape, transform=PLACE) > 0
        again[inside] = CLASSES.index(feature["properties"]["class"]) + 1
        assert feature["properties"]["image"] == "b"
    np.testing.assert_array_equal(again, labels)


def test_without_rasterio_nothing_is_predicted(run_cli, tiny_segment_run, images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    answer = run_cli("predict", tiny_segment_run, images, "--out", tmp_path / "out", *QUICK, "--export", "geo")
    refused(answer, "--export geo: needs the package rasterio", "[geo]")
    assert not (tmp_path / "out").exists()
