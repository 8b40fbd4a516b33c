import contextlib
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from bana.data import rgb
from bana.data.images import image_size, is_upright, open_image, open_record_image
from bana.data.objects import AnnotatedObject, make_record
from bana.errors import DataError
from data_samples import write_photo
from png_files import png_chunks, png_header_alone, png_of

GRAY_16 = np.array([[0, 257, 65535], [128 * 257, 32768, 300]], dtype=np.uint16)


def save(path, image, **options):
    image.save(path, **options)
    return path


def test_a_photograph_is_rgb_as_pillow_decodes_it(tmp_path):
    path = write_photo(tmp_path / "a.jpg")
    np.testing.assert_array_equal(open_image(path), np.array(Image.open(path)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path, orientation, suffix):
    path = write_photo(tmp_path / f"a{suffix}", (60, 40), exif_orientation=orientation)
    stored = np.array(Image.open(write_photo(tmp_path / f"stored{suffix}", (60, 40))))
    # What each EXIF value asks a viewer to do with the stored rows and columns.
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored[::-1].transpose(1, 0, 2),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: stored[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    np.testing.assert_array_equal(open_image(path), upright)
    assert image_size(path) == upright.shape[1::-1]
    assert is_upright(path) == (orientation == 1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grayscale_is_scaled_to_8_bits(tmp_path, suffix):
    pixels = open_image(save(tmp_path / f"a{suffix}", Image.fromarray(GRAY_16)))
    expected = np.rint(GRAY_16 / 257).astype(np.uint8)
    np.testing.assert_array_equal(pixels, np.repeat(expected[:, :, None], 3, axis=2))


def test_floating_point_is_taken_as_0_to_1_or_0_to_255(tmp_path):
    unit = save(tmp_path / "unit.tif", Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)))
    byte = save(tmp_path / "byte.tif", Image.fromarray(np.array([[0.0, 128.0, 300.0]], dtype=np.float32)))
    assert open_image(unit)[0, :, 0].tolist() == [0, 128, 255]
    assert open_image(byte)[0, :, 0].tolist() == [0, 128, 255]


def test_cmyk_becomes_rgb(tmp_path):
    path = save(tmp_path / "a.tif", Image.new("CMYK", (4, 3), (0, 255, 255, 0)))
    np.testing.assert_array_equal(open_image(path), np.broadcast_to([255, 0, 0], (3, 4, 3)).astype(np.uint8))


def test_alpha_is_composed_over_white(tmp_path):
    pixels = np.array([[[200, 0, 0, 255], [200, 0, 0, 0]]], dtype=np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(pixels))
    assert open_image(path).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_gray_with_alpha_and_binary_images_become_rgb(tmp_path):
    gray = save(tmp_path / "la.png", Image.fromarray(np.array([[[100, 255], [100, 0]]], dtype=np.uint8)))
    binary = save(tmp_path / "one.png", Image.fromarray(np.array([[True, False]])))
    assert open_image(gray).tolist() == [[[100] * 3, [255] * 3]]
    assert open_image(binary).tolist() == [[[255] * 3, [0] * 3]]


def test_palette_colors_are_looked_up_and_its_transparency_composed(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    plain = save(tmp_path / "plain.png", image)
    clear = save(tmp_path / "clear.png", image, transparency=1)
    assert open_image(plain).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert open_image(clear).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_image_is_a_data_error(tmp_path, suffix, share):
    path = write_photo(tmp_path / f"a{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=f"a{suffix}: .*(damaged|not a readable)"):
        open_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a readable image"), (b"hello", "not a readable image"), (None, "image not found")],
)
def test_what_is_no_image_is_a_data_error(tmp_path, content, message):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    for function in (open_image, image_size, is_upright):
        with pytest.raises(DataError, match=message):
            function(path)


def test_a_decompression_bomb_is_a_data_error(tmp_path, monkeypatch):
    path = write_photo(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="too many pixels"):
        open_image(path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_ignored(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 6)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03")
    assert image_size(path) == (8, 6)


def test_a_size_that_differs_from_the_annotation_names_both(tmp_path):
    path = write_photo(tmp_path / "a.jpg", (60, 40), exif_orientation=6)
    record = make_record("a", path, (60, 40), [AnnotatedObject((0, 0, 5, 5), 1)])
    with pytest.raises(DataError, match=r"a\.jpg: image is 40x60 but its annotation says 60x40"):
        open_record_image(record)


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tif"), ("GIF", ".gif")])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, kind, suffix):
    first, second = (Image.new("RGB", (7, 5), color) for color in ("red", "blue"))
    path = save(tmp_path / f"a{suffix}", first, format=kind, save_all=True, append_images=[second], lossless=True)
    assert image_size(path) == (7, 5)
    assert (open_image(path) == (255, 0, 0)).all()


def test_an_image_of_one_pixel(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGB", (1, 1), (1, 2, 3)))
    assert open_image(path).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((30_000, 20_000), "too many pixels"),
        ((2_000_000_000, 2_000_000_000), "too many pixels"),
        ((1, 67_000_000), "image is 1x67000000; cut it to sides of at most 1000000"),
    ],
)
def test_a_size_that_memory_has_no_room_for_is_refused_at_once(tmp_path, size, message):
    path = tmp_path / "a.png"
    path.write_bytes(png_header_alone(*size))
    for function in (open_image, image_size):
        with pytest.raises(DataError, match=rf"a\.png: .*{message}"):
            function(path)


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "F", "RGBA", "P", "CMYK"])
def test_strips_make_no_difference(tmp_path, monkeypatch, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (23, 9, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    path = save(tmp_path / "a.tif", image)
    whole = open_image(path)
    monkeypatch.setattr(rgb, "_STRIP", 20)
    np.testing.assert_array_equal(open_image(path), whole)


def test_postscript_is_not_run(tmp_path):
    path = save(tmp_path / "a.eps", Image.new("RGB", (4, 4))).rename(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: not a readable image"):
        open_image(path)


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_gigabytes_is_refused_or_left_alone(tmp_path, name):
    chunks = png_chunks(write_photo(tmp_path / "a.png").read_bytes())
    head = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"name\0\0"}[name]
    bomb = zlib.compress(bytes(80_000_000))
    (tmp_path / "b.png").write_bytes(png_of([chunks[0], (name, head + bomb), *chunks[1:]]))
    tracemalloc.start()
    with contextlib.suppress(DataError):
        open_image(tmp_path / "b.png")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_an_image_is_read_from_where_pillow_only_warns(tmp_path, monkeypatch):
    path = write_photo(tmp_path / "a.png", (60, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 40 // 2)
    assert open_image(path).shape == (40, 60, 3)
    assert image_size(path) == (60, 40)
