"""`bana label --formats geo`: GeoTIFF and GeoJSON of images that have a georeference."""

import json
import sys

import numpy as np
import pytest

from bad_data import refused
from bana.data.label_maps import read_label_map
from bana.data.masks import decode_mask
from shapes_data import draw, write_shapes

rasterio = pytest.importorskip("rasterio")
warp = pytest.importorskip("rasterio.warp")
features = pytest.importorskip("rasterio.features")

SIZE = (96, 72)
SHAPES = (("disk", (10, 12, 50, 52)), ("square", (60, 8, 90, 40)))
PLACE = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)


@pytest.fixture
def data(tmp_path):
    """One image with a georeference, and one without."""
    root = write_shapes(tmp_path / "voc", {"a": (SIZE, SHAPES), "b": (SIZE, SHAPES)})
    (root / "JPEGImages/a.jpg").unlink()
    profile = {"driver": "GTiff", "count": 3, "height": SIZE[1], "width": SIZE[0], "dtype": "uint8"}
    with rasterio.open(root / "JPEGImages/a.tif", "w", crs="EPSG:32632", transform=PLACE, **profile) as file:
        file.write(np.moveaxis(draw(SIZE, SHAPES, 0), 2, 0))
    return root


@pytest.fixture
def label(run_cli, data, tmp_path):
    def command(*more):
        given = ("--method", "wssl", "--out", tmp_path / "out", "--workers", 1)
        return run_cli("label", data, *given, "--formats", "geo", *more)

    return command


def in_pixels(geometry):
    """A geometry of GeoJSON drawn again as a mask."""
    moved = warp.transform_geom("EPSG:4326", "EPSG:32632", geometry)
    return features.rasterize([moved], out_shape=SIZE[::-1], transform=PLACE) > 0


def test_masks_lie_where_the_image_lies(label, tmp_path):
    assert label().status == 0
    out = tmp_path / "out"
    with rasterio.open(out / "geo/a.tif") as file:
        assert (file.crs, file.transform, file.nodata) == ("EPSG:32632", PLACE, 255)
        np.testing.assert_array_equal(file.read(1), read_label_map(out / "y_crf/a.png", *SIZE))
    content = json.loads((out / "geo/a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    boxes = json.loads((out / "instances/a.json").read_text())["instances"]
    assert len(content["features"]) == len(boxes) == 2
    for number, (feature, box, (name, corners)) in enumerate(
        zip(content["features"], boxes, SHAPES, strict=True), start=1
    ):
        mask = decode_mask(box["segmentation"], *SIZE[::-1])
        assert mask.any()
        np.testing.assert_array_equal(in_pixels(feature["geometry"]), mask)
        assert feature["properties"] == {
            "class": name,
            "image": "a",
            "object": number,
            "box": list(corners),
            "confidence": box["confidence"],
        }


def test_images_without_a_georeference_are_counted(label, tmp_path):
    assert json.loads(label("--json").out)["lost"] == {"geo": {"images without a georeference": 1}}
    assert sorted(path.name for path in (tmp_path / "out/geo").iterdir()) == ["a.geojson", "a.tif"]
    said = label().out
    assert "GeoTIFF and GeoJSON cannot store images without a georeference (1)." in said
    assert "annotations without images" not in said


def test_an_object_without_a_mask_has_no_geometry(label, data, tmp_path):
    assert label().status == 0
    file = tmp_path / "out/instances/a.json"
    from bana.data.masks import encode_mask
    from bana.data.reading import read_dataset
    from bana.label import geo
    from bana.label.formats import labeled_records

    content = json.loads(file.read_text())
    content["instances"][0] |= {"segmentation": encode_mask(np.zeros(SIZE[::-1], bool)), "status": "empty"}
    file.write_text(json.dumps(content))
    dataset = read_dataset(data)
    geo.write(labeled_records(dataset, tmp_path / "out"), dataset.class_table, tmp_path / "again")
    first, second = json.loads((tmp_path / "again/a.geojson").read_text())["features"]
    assert first["geometry"] is None
    assert second["geometry"] is not None


def test_without_rasterio_nothing_is_labeled(label, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    refused(label(), "--formats geo: needs the package rasterio", "[geo]")
    assert not (tmp_path / "out/y_crf").exists()


def test_images_are_not_put_beside_it(label):
    refused(label("--images", "copy"), "--images copy: puts images beside --formats")
