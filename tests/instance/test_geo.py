"""Objects that a Mask R-CNN has found, where the image lies."""

import json

import numpy as np
import pytest
from PIL import Image

from bana.data.inputs import find_inputs
from bana.data.masks import encode_mask
from bana.data.records import ClassTable
from bana.engine.prediction import entry_path
from bana.instance.geo import write_geo

rasterio = pytest.importorskip("rasterio")
warp = pytest.importorskip("rasterio.warp")
features = pytest.importorskip("rasterio.features")

PLACE = rasterio.Affine(2, 0, 400_000, 0, -2, 5_500_000)


def test_every_object_is_a_feature(tmp_path):
    profile = {"driver": "GTiff", "count": 3, "height": 30, "width": 40, "dtype": "uint8"}
    (tmp_path / "images").mkdir()
    with rasterio.open(tmp_path / "images/a.tif", "w", crs="EPSG:25832", transform=PLACE, **profile) as file:
        file.write(np.zeros((3, 30, 40), np.uint8))
    for name in "bc":
        Image.new("RGB", (40, 30)).save(tmp_path / f"images/{name}.png")
    mask = np.zeros((30, 40), bool)
    mask[3:9, 10:20] = True
    found = {"category_id": 2, "score": 0.9, "bbox": [10.0, 3.0, 10.5, 6.0], "segmentation": encode_mask(mask)}
    out = tmp_path / "out"
    (out / entry_path("a")).parent.mkdir(parents=True)
    for name in "ab":  # c was left out
        (out / entry_path(name)).write_text(json.dumps({"height": 30, "width": 40, "objects": [found]}))
    assert write_geo(out, find_inputs([tmp_path / "images"]), ClassTable(("cat", "dog"))) == 1
    assert [path.name for path in (out / "geo").iterdir()] == ["a.geojson"]
    (feature,) = json.loads((out / "geo/a.geojson").read_text())["features"]
    assert feature["properties"] == {"class": "dog", "image": "a", "box": [10.0, 3.0, 20.5, 9.0], "confidence": 0.9}
    moved = warp.transform_geom("EPSG:4326", "EPSG:25832", feature["geometry"])
    again = features.rasterize([moved], out_shape=(30, 40), transform=PLACE) > 0
    np.testing.assert_array_equal(again, mask)
