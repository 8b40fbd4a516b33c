"""CVAT for images: boxes, turned boxes, polygons, masks, and what has no area."""

import numpy as np
import pytest

from bana.data.check import check
from bana.data.masks import decode_mask
from bana.data.objects import turned_rectangle_mask
from bana.data.reading import format_of, read_dataset
from bana.errors import DataError
from data_samples import SIZE, write_photo

BOX = '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="25"{}></box>'


def write_cvat(
    folder, *shapes, attributes=f'name="a.jpg" width="{SIZE[0]}" height="{SIZE[1]}"', labels=("dog", "cat"), more=""
):
    write_photo(folder / "images" / "a.jpg")
    listed = "".join(f"<label><name>{name}</name></label>" for name in labels)
    image = f"<image id='0' {attributes}>{''.join(shapes)}</image>"
    meta = f"<meta><task><labels>{listed}</labels></task></meta>"
    (folder / "annotations.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations>{meta}{image}{more}</annotations>'
    )
    return folder


def test_shapes_become_objects(tmp_path):
    polygon = '<polygon label="dog" points="1,1;9,1;9,9.5"></polygon>'
    mask = '<mask label="cat" rle="2, 3, 1" left="5" top="6" width="3" height="2"></mask>'
    root = write_cvat(tmp_path, BOX.format(""), polygon, mask)
    assert format_of(root) == format_of(root / "annotations.xml") == "cvat"
    dataset = read_dataset(root, strict=True)
    assert dataset.classes == ("dog", "cat")
    record = dataset[0]
    assert record.class_ids.tolist() == [2, 1, 2]
    assert record.boxes.tolist() == [[10, 5, 30, 25], [1, 1, 9, 9.5], [5, 6, 8, 8]]
    assert [each is None for each in record.segmentations] == [True, False, False]
    expected = np.zeros(SIZE[::-1], bool)
    expected[6, 7] = expected[7, 5:7] = True
    np.testing.assert_array_equal(decode_mask(record.segmentations[2], *expected.shape), expected)


@pytest.mark.parametrize("angle", [30, 90, 211.5])
def test_a_turned_box_is_oriented(tmp_path, angle):
    record = read_dataset(write_cvat(tmp_path, BOX.format(f' rotation="{angle}"')))[0]
    turn = np.deg2rad(angle)
    ys, xs = np.mgrid[:40, :60] + 0.5
    along = (xs - 20) * np.cos(turn) + (ys - 15) * np.sin(turn)
    across = -(xs - 20) * np.sin(turn) + (ys - 15) * np.cos(turn)
    found = turned_rectangle_mask(record.oriented[0], (slice(0, 40), slice(0, 60)))
    assert ((np.abs(along) < 10) & (np.abs(across) < 10)).sum() == pytest.approx(found.sum(), abs=3)
    assert record.segmentations == (None,)


@pytest.mark.parametrize(
    "shape",
    [
        '<points label="cat" points="5,5"></points>',
        '<polyline label="cat" points="5,5;9,9"></polyline>',
        '<wheel label="cat"></wheel>',
        '<polygon label="cat" points="5,5;9,9"></polygon>',
        '<polygon label="cat" points="5,x;9,9"></polygon>',
        '<mask label="cat" rle="2,3" left="5" top="6" width="3" height="2"></mask>',
        '<mask label="cat" rle="6" left="59" top="6" width="3" height="2"></mask>',
        '<box label="cat" xtl="a" ytl="5" xbr="30" ybr="25"></box>',
    ],
)
def test_a_shape_that_cannot_be_used_costs_itself(tmp_path, shape):
    dataset = read_dataset(write_cvat(tmp_path, shape, BOX.format("")))
    assert [note.kind for note in dataset.notes] == ["left out"]
    assert dataset[0].boxes.tolist() == [[10, 5, 30, 25]]
    with pytest.raises(DataError, match="image 'a': shape 1: "):
        read_dataset(tmp_path, strict=True)


def test_subsets_are_splits(tmp_path):
    more = f'<image id="1" name="b.jpg" subset="val">{BOX.format("")}</image>'
    root = write_cvat(tmp_path, BOX.format(""), attributes='name="a.jpg" subset="train"', more=more)
    write_photo(root / "images/val/b.jpg")
    assert [record.image_id for record in read_dataset(root, "val")] == ["b"]
    assert [record.image_id for record in read_dataset(root, "train")] == ["a"]


def test_what_is_no_task_of_images_is_named(tmp_path):
    root = write_cvat(tmp_path)
    (root / "annotations.xml").write_text("<annotations><image></annotations>")
    with pytest.raises(DataError, match="not well-formed XML"):
        read_dataset(root)
    with pytest.raises(DataError, match=r"holds no annotations\.xml of CVAT"):
        read_dataset(root / "images", format="cvat")


@pytest.mark.parametrize("name", ["../a.jpg", "C:\\x\\a.jpg", "/tmp/a.jpg", "x/y/a.jpg"])
def test_an_image_is_found_by_its_last_name_and_never_outside(tmp_path, name):
    write_photo(tmp_path / "a.jpg")
    record = read_dataset(write_cvat(tmp_path / "task", BOX.format(""), attributes=f'name="{name}"'))[0]
    assert record.path == tmp_path / "task/images/a.jpg"
    leaves = name != "x/y/a.jpg"
    assert [note.kind for note in read_dataset(tmp_path / "task").notes] == ["repaired"] * leaves
    record.path.unlink()
    report = check(tmp_path / "task")
    assert len(report.faults) == 1
