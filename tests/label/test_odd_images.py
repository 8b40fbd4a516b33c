"""Photographs as people have them, through the real commands: labeled, or refused by name while the others go on."""

import json

import numpy as np
import pytest
from PIL import Image

from bad_data import refused
from bana.data.images import image_size
from png_files import png_header_alone
from shapes_data import IMAGES, annotation, draw, write_shapes

SIZE, SHAPES = IMAGES["a"]


def photo():
    return Image.fromarray(draw(SIZE, SHAPES, 0))


def deep(path):
    gray = np.asarray(photo().convert("L")).astype(np.uint16) * 257
    Image.fromarray(gray).save(path.with_suffix(".png"))


def four_inks(path):
    photo().convert("CMYK").save(path)


def animated(path):
    photo().save(path.with_suffix(".webp"), save_all=True, append_images=[Image.new("RGB", SIZE)])


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def turned_tiff(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo().transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".tif"), exif=exif)


def truncated(path):
    photo().save(path)
    path.write_bytes(path.read_bytes()[:-1500])


def bomb(path):
    path.with_suffix(".png").write_bytes(png_header_alone(30_000, 20_000))


def endless_column(path):
    path.with_suffix(".png").write_bytes(png_header_alone(1, 67_000_000))


def header_alone(path):
    path.with_suffix(".png").write_bytes(png_header_alone(*SIZE))


def write(root, make):
    """The images a and b, of which a is odd."""
    write_shapes(root, {name: IMAGES[name] for name in "ab"})
    (root / "JPEGImages/a.jpg").unlink()
    make(root / "JPEGImages/a.jpg")
    return root


@pytest.fixture
def label(run_cli, tiny_run, tmp_path):
    def command(data, *more):
        return run_cli("label", data, "--out", tmp_path / "out", "--labeler", tiny_run, "--workers", 1, *more)

    return command


@pytest.mark.parametrize("make", [deep, four_inks, animated, turned, turned_tiff])
def test_what_is_odd_but_whole_is_labeled(run_cli, label, tmp_path, make):
    data = write(tmp_path / "voc", make)
    assert run_cli("check", data).status == 0
    assert label(data).status == 0
    assert image_size(tmp_path / "out/y_crf/a.png") == SIZE


@pytest.mark.parametrize("make", [truncated, bomb, endless_column, header_alone])
def test_what_cannot_be_used_is_named_and_the_others_are_labeled(run_cli, label, tmp_path, make):
    data = write(tmp_path / "voc", make)
    checked = run_cli("check", data, "--json")
    assert checked.status == 1
    assert [fault["image_id"] for fault in json.loads(checked.out)["faults"]] == ["a"]
    refused(label(data), "JPEGImages/a.")
    assert label(data, "--on-error", "skip").status == 1
    assert json.loads((tmp_path / "out/rejected.jsonl").read_text())["image_id"] == "a"
    assert [path.name for path in (tmp_path / "out/y_crf").iterdir()] == ["b.png"]


def test_an_annotation_of_a_bomb_is_refused_before_anything_of_that_size_is_made(run_cli, label, tmp_path):
    data = write(tmp_path / "voc", bomb)
    (data / "Annotations/a.xml").write_text(annotation((30_000, 20_000), SHAPES, "a.png"))
    assert run_cli("check", data).status == 1
    refused(label(data), "a.xml", "30000x20000")
    assert label(data, "--on-error", "skip").status == 1


def test_an_image_of_one_pixel_is_labeled(run_cli, label, tmp_path):
    data = write_shapes(tmp_path / "voc", {"a": ((1, 1), (("disk", (0, 0, 1, 1)),)), "b": IMAGES["b"]})
    assert run_cli("check", data).status == 0
    assert label(data).status == 0
    assert image_size(tmp_path / "out/y_crf/a.png") == (1, 1)
    (box,) = json.loads((tmp_path / "out/instances/a.json").read_text())["instances"]
    assert box["status"] in {"ok", "empty"}
