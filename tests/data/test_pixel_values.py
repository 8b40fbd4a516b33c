"""The file bana.yaml: which values of image files become 0 and 255, and which bands are the colors."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import bana
from bana.data.convert import convert
from bana.data.images import as_rgb, open_image, open_record_image
from bana.data.pixel_values import PixelValues, read_pixel_values, values_to_rgb
from bana.errors import DataError
from bana.label.output import input_digest
from data_samples import SIZE, coco_content, write_coco
from png_files import png_of


def write_12_bit(root, settings):
    """A COCO data set whose only image has values 0..4095 in a 16-bit file; returns the values."""
    content = coco_content()
    content["images"][0]["file_name"] = "a.png"
    write_coco(root, content)
    values = np.random.default_rng(0).integers(0, 4096, SIZE[::-1]).astype(np.uint16)
    Image.fromarray(values).save(root / "images" / "a.png")
    (root / "images" / "a.jpg").unlink()
    if settings is not None:
        (root / "bana.yaml").write_text(f"images: {json.dumps(settings)}\n")
    return values


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [(None, 0, 65535), ({"range": [0, 4095]}, 0, 4095), ({"range": [100, 2000]}, 100, 2000)],
)
def test_a_range_is_mapped_to_0_to_255(tmp_path, settings, low, high):
    values = write_12_bit(tmp_path, settings)
    expected = np.clip(np.rint((values.astype(float) - low) * 255 / (high - low)), 0, 255)
    for place in (tmp_path, tmp_path / "instances.json"):
        (record,) = bana.read_dataset(place)
        np.testing.assert_array_equal(open_record_image(record), np.repeat(expected[:, :, None], 3, axis=2))


def test_the_images_own_range_leaves_out_hot_pixels(tmp_path):
    values = write_12_bit(tmp_path, {"range": "data"}).astype(float)
    low, high = np.percentile(values, (0.1, 99.9))
    (record,) = bana.read_dataset(tmp_path)
    expected = np.clip(np.rint((values - low) * 255 / (high - low)), 0, 255)
    np.testing.assert_array_equal(open_record_image(record)[:, :, 0], expected)
    flat = values_to_rgb(np.full((3, 4, 1), 7, np.uint16), PixelValues("data"), "x")
    assert flat.shape == (3, 4, 3)
    assert not flat.any()


@pytest.mark.parametrize(("mode", "bands"), [("RGB", (3, 2, 1)), ("RGBA", (4, 4, 2)), ("CMYK", (2,)), ("L", (1,))])
def test_bands_are_chosen_by_their_numbers(tmp_path, mode, bands):
    count = len(Image.new(mode, (1, 1)).getbands())
    stored = np.random.default_rng(1).integers(0, 256, (5, 6, count), np.uint8)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(stored.squeeze(), mode).save(path)
    expected = stored[:, :, [bands[number % len(bands)] - 1 for number in range(3)]]
    np.testing.assert_array_equal(open_image(path, PixelValues(bands=bands)), expected)


def test_a_turned_photograph_is_upright_whatever_its_range(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(2).integers(0, 256, (4, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    found = open_image(tmp_path / "a.png", PixelValues(bands=(3, 2, 1)))
    np.testing.assert_array_equal(found, pixels[::-1].transpose(1, 0, 2)[:, :, ::-1])


def test_a_palette_is_looked_up_before_its_bands_are_chosen(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", PixelValues(bands=(3, 1, 1))).tolist() == [[[30, 10, 10], [60, 40, 40]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: {range: 7}", "range is 7; give images"),
        ("images: {range: [5, 5]}", r"range is \[5, 5\]"),
        ("images: {range: [0, .nan]}", "range is"),
        ("images: {bands: [0]}", r"bands is \[0\]; give the numbers, from 1"),
        ("images: {bands: [1, 2]}", "one band or of three"),
        ("images: {rnage: data}", "must have the keys range and bands"),
        ("image: {range: data}", "must have the key images alone"),
        ("- 1", "must have the key images alone"),
        ("images: [", "is not YAML"),
    ],
)
def test_settings_that_say_nothing_useful_are_refused(tmp_path, text, message):
    write_12_bit(tmp_path, None)
    (tmp_path / "bana.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"bana\.yaml: .*{message}"):
        bana.read_dataset(tmp_path)


def test_a_band_that_an_image_lacks_is_a_fault_of_the_image(tmp_path):
    write_12_bit(tmp_path, {"bands": [1, 2, 3]})
    report = bana.check(tmp_path, quiet=True)
    assert [fault.image_id for fault in report.faults] == ["a"]
    assert "has no band 3, but 1 in all; correct bands in bana.yaml" in report.faults[0].reason


def test_16_bit_color_of_which_pillow_reads_8_bits_is_refused(tmp_path):
    path, header = tmp_path / "a.png", struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
    rows = b"\0" + bytes(3 * 3 * 2)
    path.write_bytes(png_of([(b"IHDR", header), (b"IDAT", zlib.compress(rows * 2)), (b"IEND", b"")]))
    assert open_image(path).shape == (2, 3, 3)
    with pytest.raises(DataError, match=r"a\.png: is 16-bit color, of which Pillow reads 8 bits; save it as TIFF"):
        open_image(path, PixelValues(range=(0, 4095)))


def test_check_advises_a_range_for_a_nearly_black_image(tmp_path):
    write_12_bit(tmp_path, None)
    (note,) = bana.check(tmp_path, quiet=True).dataset.notes
    assert "say the range of its values in bana.yaml, such as images: {range: data}" in note.reason
    (tmp_path / "bana.yaml").write_text("images: {range: data}")
    assert bana.check(tmp_path, quiet=True).dataset.notes == ()


def test_other_settings_are_another_data_set_and_other_labels(tmp_path):
    write_12_bit(tmp_path, None)
    before = bana.read_dataset(tmp_path)
    (tmp_path / "bana.yaml").write_text("images: {range: data}")
    after = bana.read_dataset(tmp_path)
    assert before.fingerprint() != after.fingerprint()
    assert input_digest(before[0], "labeling") != input_digest(after[0], "labeling")


def test_yolo_takes_it_for_no_index(tmp_path):
    write_12_bit(tmp_path / "coco", {"range": [0, 4095]})
    convert(tmp_path / "coco", tmp_path / "yolo", "yolo")
    (tmp_path / "yolo" / "data.yaml").rename(tmp_path / "yolo" / "mine.yaml")
    (tmp_path / "yolo" / "bana.yaml").write_text("images: {bands: [3, 2, 1]}")
    assert bana.read_dataset(tmp_path / "yolo").values == PixelValues(bands=(3, 2, 1))


@pytest.mark.parametrize("to", ["voc", "coco", "yolo", "labelme", "dota"])
def test_a_conversion_writes_the_images_as_they_are_seen(tmp_path, to):
    write_12_bit(tmp_path / "coco", {"range": [0, 4095]})
    seen = open_record_image(bana.read_dataset(tmp_path / "coco")[0]).astype(int)
    report = convert(tmp_path / "coco", tmp_path / "out", to).reports["train"]
    assert report.reencoded == 1
    (record,) = bana.read_dataset(tmp_path / "out")
    assert record.values.is_default
    assert np.abs(open_record_image(record) - seen).max() <= (12 if to == "voc" else 0)  # VOC's are JPEG
    lost = convert(tmp_path / "coco", tmp_path / "without", to, images="none").reports["train"].lost
    assert lost["how images are read, which bana.yaml says"] == 1


def test_paths_are_read_by_the_settings_and_arrays_are_rgb_already(tmp_path):
    values = write_12_bit(tmp_path, {"range": [0, 4095]})
    path, settings = tmp_path / "images" / "a.png", read_pixel_values(tmp_path)
    rgb = as_rgb(path, settings)
    assert rgb.max() == pytest.approx(values.max() / 4095 * 255, abs=1)
    np.testing.assert_array_equal(as_rgb(rgb, settings), rgb)
