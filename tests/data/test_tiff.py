"""TIFF files that Pillow does not read, or reads in fewer bits."""

import numpy as np
import pytest

from bana.data.images import image_size, is_upright, open_image
from bana.data.pixel_values import PixelValues
from bana.errors import DataError

tifffile = pytest.importorskip("tifffile")

_GRAY = {"photometric": "minisblack"}
SHAPES = {
    "five bands": ((20, 30, 5), {"planarconfig": "contig", **_GRAY}, (0, 1, 2)),
    "five planes": ((5, 20, 30), {"planarconfig": "separate", **_GRAY}, (1, 2, 0)),
    "channels as pages": ((3, 20, 30), {"imagej": True, "metadata": {"axes": "CYX"}}, (1, 2, 0)),
    "16-bit color": ((20, 30, 3), {"photometric": "rgb"}, (0, 1, 2)),
    "compressed": ((20, 30, 4), {"planarconfig": "contig", "compression": "zlib", **_GRAY}, (0, 1, 2)),
}


def write_tiff(path, kind):
    """A file of values 0..4095; returns them as (H, W, B)."""
    shape, options, axes = SHAPES[kind]
    values = np.random.default_rng(0).integers(0, 4096, shape).astype(np.uint16)
    tifffile.imwrite(path, values, **options)
    return values.transpose(axes)


@pytest.mark.parametrize("kind", SHAPES)
def test_bands_and_bits_are_those_of_the_file(tmp_path, kind):
    values = write_tiff(tmp_path / "a.tif", kind)
    assert image_size(tmp_path / "a.tif") == (30, 20)
    assert is_upright(tmp_path / "a.tif")
    found = open_image(tmp_path / "a.tif", PixelValues((0, 4095), (3, 1, 2)))
    np.testing.assert_array_equal(found, np.rint(values[:, :, [2, 0, 1]] * (255 / 4095)).astype(np.uint8))


def test_without_settings_the_first_three_bands_are_the_colors(tmp_path):
    values = write_tiff(tmp_path / "a.tif", "five bands")
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif"), np.rint(values[:, :, :3] / 257).astype(np.uint8))


def test_of_a_stack_the_first_layer_is_taken(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (4, 3, 20, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "ZCYX"})
    found = open_image(tmp_path / "a.tif", PixelValues((0, 4095), (1, 2, 3)))
    np.testing.assert_array_equal(found, np.rint(values[0].transpose(1, 2, 0) * (255 / 4095)).astype(np.uint8))


def test_the_orientation_is_applied(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (20, 30, 5)).astype(np.uint16)
    options = SHAPES["five bands"][1]
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(274, "H", 1, 6, True)], **options)
    assert image_size(tmp_path / "a.tif") == (20, 30)
    assert not is_upright(tmp_path / "a.tif")
    np.testing.assert_array_equal(
        open_image(tmp_path / "a.tif"), np.rint(values[::-1].transpose(1, 0, 2)[:, :, :3] / 257).astype(np.uint8)
    )


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_truncated_file_is_a_data_error(tmp_path, share):
    write_tiff(tmp_path / "a.tif", "five bands")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"a\.tif: .*(damaged|not a readable)"):
        open_image(tmp_path / "a.tif")


def test_too_many_pixels_are_refused_before_they_are_read(tmp_path, monkeypatch):
    write_tiff(tmp_path / "a.tif", "five bands")
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.tif: image has too many pixels \(30x20\)"):
        open_image(tmp_path / "a.tif")
