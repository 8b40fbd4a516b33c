"""Windows of images: what is read is what the whole image has there."""

from itertools import product

import numpy as np
import pytest
from PIL import Image

from bana.data import tiff_windows as tiff_windows_module
from bana.data.images import open_image
from bana.data.objects import make_record
from bana.data.pixel_values import PixelValues
from bana.data.reduction import block_means
from bana.data.windows import WholeImage, open_windows, read_reduced
from bana.errors import DataError

tifffile = pytest.importorskip("tifffile")

PLACES = [
    (slice(0, 50), slice(0, 70)),
    (slice(0, 1), slice(69, 70)),
    (slice(5, 37), slice(13, 45)),
    (slice(16, 32), slice(32, 64)),
    (slice(49, 50), slice(0, 70)),
]
LAYOUTS = {"one strip": {}, "strips": {"rowsperstrip": 7}, "tiles": {"tile": (16, 32)}}


def record_of(path, size=(70, 50), values=None):
    record = make_record("a", path, size, [])
    return record if values is None else type(record)(**vars(record) | {"values": values})


def write(path, bands=3, dtype=np.uint8, planes=False, **options):
    """A TIFF file of 70 x 50 pixels of noise."""
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (50, 70, bands)).astype(dtype)
    options["photometric"] = options.get("photometric", "rgb" if bands == 3 else "minisblack")
    if bands == 1:
        tifffile.imwrite(path, values[:, :, 0], **options)
    else:
        kind = "separate" if planes else "contig"
        tifffile.imwrite(path, np.moveaxis(values, 2, 0) if planes else values, planarconfig=kind, **options)
    return values


def check(record, kind):
    whole = open_image(record.path, record.values)
    with open_windows(record) as image:
        assert (type(image) is WholeImage) is (kind == "whole")
        assert image.size == (50, 70)
        for place in PLACES:
            np.testing.assert_array_equal(image.read(place), whole[place])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("planes", [False, True])
def test_a_window_of_a_tiff_has_the_pixels_of_the_whole(tmp_path, layout, compression, planes):
    for bands, dtype in product((1, 3, 5), (np.uint8, np.uint16)):
        if (bands, dtype) == (3, np.uint16) or (bands == 1 and planes):
            continue
        path = tmp_path / f"{bands}{np.dtype(dtype).name}.tif"
        write(path, bands, dtype, planes, compression=compression, **LAYOUTS[layout])
        check(record_of(path), "windows")


@pytest.mark.parametrize(
    "options",
    [
        {"bands": 4, "photometric": "rgb", "extrasamples": ["unassalpha"]},
        {"dtype": np.uint16},
        {"bands": 1, "photometric": "miniswhite"},
        {"extratags": [(274, "H", 1, 3, True)]},
    ],
    ids=["alpha", "16-bit color", "white is zero", "upside down"],
)
def test_other_tiffs_are_read_whole(tmp_path, options):
    write(tmp_path / "a.tif", **options)
    check(record_of(tmp_path / "a.tif"), "whole")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_other_formats_are_read_whole(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    check(record_of(tmp_path / f"a.{suffix}"), "whole")


def test_ranges_and_bands_are_those_of_the_data_set(tmp_path):
    write(tmp_path / "a.tif", 5, np.uint16, tile=(16, 16))
    check(record_of(tmp_path / "a.tif", values=PixelValues((100.0, 4000.0), (4, 2, 5))), "windows")
    check(record_of(tmp_path / "a.tif", values=PixelValues("data")), "whole")


def test_of_four_planes_the_first_three_are_colors(tmp_path):
    """Pillow takes them for gray, or fails."""
    for dtype in (np.uint8, np.uint16):
        values = write(tmp_path / "a.tif", 4, dtype, planes=True, compression="zlib")
        seen = np.rint(values[:, :, :3] / (1 if dtype is np.uint8 else 257)).astype(np.uint8)
        np.testing.assert_array_equal(open_image(tmp_path / "a.tif"), seen)


def test_only_the_strips_of_a_window_are_unpacked(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", compression="zlib", rowsperstrip=5)
    unpacked = []
    original = tiff_windows_module.TiffWindows._unpacked
    monkeypatch.setattr(
        tiff_windows_module.TiffWindows,
        "_unpacked",
        lambda self, index: unpacked.append(index) or original(self, index),
    )
    with open_windows(record_of(tmp_path / "a.tif")) as image:
        image.read((slice(12, 17), slice(0, 9)))
        image.read((slice(12, 17), slice(30, 70)))
    assert unpacked == [2, 3]


def test_a_sparse_tile_is_empty(tmp_path):
    tiles = (None if number == 1 else np.full((16, 16, 3), 9, np.uint8) for number in range(4))
    tifffile.imwrite(
        tmp_path / "a.tif", tiles, shape=(32, 32, 3), dtype=np.uint8, tile=(16, 16), photometric="rgb", compression=8
    )
    with open_windows(record_of(tmp_path / "a.tif", (32, 32))) as image:
        found = image.read((slice(0, 32), slice(0, 32)))
    assert (found[:16, 16:] == 0).all()
    assert (found[16:] == 9).all()


def test_a_damaged_strip_is_a_data_error_and_errors_of_others_are_theirs(tmp_path):
    write(tmp_path / "a.tif", compression="zlib", rowsperstrip=5)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[0].dataoffsets[4]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + 40] = bytes(40)
    (tmp_path / "a.tif").write_bytes(content)
    with open_windows(record_of(tmp_path / "a.tif")) as image:
        image.read((slice(0, 20), slice(0, 70)))
        with pytest.raises(DataError, match=r"a\.tif: image is damaged"):
            image.read((slice(18, 25), slice(0, 70)))
    with pytest.raises(RuntimeError, match="mine"), open_windows(record_of(tmp_path / "a.tif")):
        raise RuntimeError("mine")


def test_another_size_than_the_annotation_states_is_refused(tmp_path):
    write(tmp_path / "a.tif")
    with (
        pytest.raises(DataError, match="70x50 but its annotation says 60x50"),
        open_windows(record_of(tmp_path / "a.tif", (60, 50))),
    ):
        pass


@pytest.mark.parametrize("strip", [1, 700, 10**6])
def test_a_reduced_window_has_the_means_of_blocks(monkeypatch, strip):
    monkeypatch.setattr("bana.data.windows._STRIP", strip)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    place = (slice(3, 50), slice(8, 66))
    np.testing.assert_array_equal(
        read_reduced(WholeImage(pixels), place, 4), block_means(np.ascontiguousarray(pixels[place]), (4, 4))
    )
    np.testing.assert_array_equal(read_reduced(WholeImage(pixels), place, 1), pixels[place])
