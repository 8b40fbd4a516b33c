"""Photographs that a person gives."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bana import read_dataset
from bana.app.actions import Add
from bana.app.uploads import MAX_SIDE, keep_upload, uploaded_records
from bana.data.images import open_image
from bana.errors import DataError
from shapes_data import IMAGES, draw


def photograph(width=60, height=40, format="PNG", **options):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("dog.png", "uploaded-dog"),
        ("../../etc/passwd.png", "uploaded-passwd"),
        ("C:\\photos\\my dog (1).png", "uploaded-my-dog-1"),
        ("日本.png", "uploaded-photograph"),
        ("<b>.png", "uploaded-b"),
        ("x" * 300 + ".png", "uploaded-" + "x" * 60),
    ],
)
def test_upload_names_become_plain(tmp_path, name, image_id):
    record = keep_upload(tmp_path, name, photograph(), str)
    assert record.image_id == image_id
    assert record.path.parent == tmp_path / "uploads"
    assert (record.width, record.height) == (60, 40)


def test_a_name_that_is_taken_gets_a_number(bench):
    names = [bench.upload(name, photograph()).image_id for name in ("a.png", "a.png", "A.png")]
    assert names == ["uploaded-a", "uploaded-a-2", "uploaded-A-3"]  # some disks do not tell a from A


def test_an_image_of_the_data_set_is_not_replaced_by_an_upload(workbench, shapes_voc):
    workbench().upload("a.png", photograph())
    dataset = read_dataset(shapes_voc)
    named = replace(dataset.records[0], image_id="uploaded-a")
    bench = workbench(replace(dataset, records=(named, *dataset.records[1:])))
    assert bench.record("uploaded-a") is named


def test_other_requests_are_answered_while_an_upload_is_read(bench, monkeypatch):
    def reading(path):
        assert bench._shared.acquire(timeout=5)
        bench._shared.release()
        return open_image(path)

    monkeypatch.setattr("bana.app.uploads.open_image", reading)
    assert bench.upload("a.png", photograph()).image_id == "uploaded-a"


def test_large_photographs_are_scaled_down_and_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "the maker"
    record = keep_upload(tmp_path, "a.jpg", photograph(3000, 1500, "JPEG", exif=exif), str)
    assert (record.width, record.height) == (MAX_SIDE // 2, MAX_SIDE)
    assert b"the maker" not in record.path.read_bytes()
    assert open_image(record.path).shape == (MAX_SIDE, MAX_SIDE // 2, 3)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.exe", photograph(), "bana does not read this format"),
        ("a", photograph(), "bana does not read this format"),
        ("a.jpg", b"no image", "a.jpg: not a readable image"),
        ("a.png", photograph()[:200], "damaged or truncated"),
        ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a readable image"),
        ("a.png", bytes((32 << 20) + 1), "MB, more than 32"),
    ],
)
def test_a_file_that_is_no_photograph_is_refused(tmp_path, name, content, reason):
    with pytest.raises(DataError, match=reason) as refused:
        keep_upload(tmp_path, name, content, str)
    assert "/tmp" not in str(refused.value)
    assert not (tmp_path / "uploads").exists()


def test_a_decompression_bomb_is_refused(tmp_path):
    bomb = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(bomb, format="PNG")
    with pytest.raises(DataError, match="too many pixels"):
        keep_upload(tmp_path, "a.png", bomb.getvalue(), str)


def test_a_box_drawn_on_a_photograph_is_labeled_and_found_again(workbench, tiny_method):
    bench = workbench()
    file = io.BytesIO()
    Image.fromarray(draw(*IMAGES["a"], seed=9)).save(file, format="PNG")
    record = bench.upload("my disk.png", file.getvalue())
    shown = bench.act(record.image_id, 0, Add(do="add", box=(10, 12, 50, 52), class_id=1))
    expected = tiny_method[0](open_image(record.path), [(10, 12, 50, 52)], [1])
    assert (shown.y_crf == 1).sum() > 600
    assert (shown.y_crf == expected.y_crf).all()
    again = workbench()
    assert again.image_ids()[-1] == "uploaded-my-disk"
    assert again.show(record.image_id).review.draft == shown.review.draft


@pytest.mark.parametrize("linked", ["folder", "photograph"])
def test_uploads_follow_no_link_out_of_the_label_folder(tmp_path, linked):
    folder, outside = tmp_path / "labels", tmp_path / "outside"
    folder.mkdir()
    keep_upload(outside, "secret.png", photograph(), str)
    if linked == "folder":
        (folder / "uploads").symlink_to(outside / "uploads")
        with pytest.raises(DataError, match="a link that leaves"):
            keep_upload(folder, "dog.png", photograph(), str)
        assert [path.name for path in (outside / "uploads").iterdir()] == ["secret.jpg"]
    else:
        (folder / "uploads").mkdir()
        (folder / "uploads/dog.jpg").symlink_to(outside / "uploads/secret.jpg")
    with pytest.raises(DataError, match="a link that leaves"):
        uploaded_records(folder)
