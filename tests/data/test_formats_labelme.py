import base64
import json
from pathlib import Path

import numpy as np
import pytest

from bana import read_dataset
from bana.data.masks import decode_mask
from bana.errors import DataError
from data_samples import SIZE, blob, labelme_shape, png_base64, write_labelme, write_photo
from png_files import png_header_alone

SQUARE = [10, 5, 30, 5, 30, 25, 10, 25]


@pytest.mark.parametrize(
    ("shape", "box", "segmentation"),
    [
        (labelme_shape("rectangle", [[10, 5], [30, 25]]), (10, 5, 30, 25), None),
        (labelme_shape("rectangle", [[30, 5], [10, 25]]), (10, 5, 30, 25), None),
        (labelme_shape("rectangle", [[10, 5], [30, 5], [30, 25], [10, 25]]), (10, 5, 30, 25), None),
        (labelme_shape("polygon"), (10, 5, 30, 25), [SQUARE]),
        (labelme_shape("polygon", [[-0.5, 0], [60.7, 0], [9, 40]]), (0, 0, 60, 40), [[0, 0, 60, 0, 9, 40]]),
    ],
)
def test_shapes(tmp_path, shape, box, segmentation):
    record = read_dataset(write_labelme(tmp_path, shape))[0]
    assert record.boxes.tolist() == [list(box)]
    assert record.segmentations == (segmentation,)


def test_a_mask_shape_starts_at_its_first_point(tmp_path):
    part = blob(1, 20, 30)
    part[0, 0] = part[-1, -1] = True
    shape = labelme_shape("mask", [[10, 5], [39, 24]], mask=png_base64(part))
    record = read_dataset(write_labelme(tmp_path, shape))[0]
    expected = np.zeros(SIZE[::-1], dtype=bool)
    expected[5:25, 10:40] = part
    np.testing.assert_array_equal(decode_mask(record.segmentations[0], *SIZE[::-1]), expected)
    assert record.boxes.tolist() == [[10, 5, 40, 25]]


def test_shapes_of_one_group_and_label_are_one_object(tmp_path):
    triangle = [[40, 5], [50, 5], [50, 15]]
    shapes = [
        labelme_shape(group_id=1),
        labelme_shape("rectangle", [[1, 1], [5, 5]], label="dog"),
        labelme_shape(points=triangle, group_id=1),
        labelme_shape(points=triangle, group_id=1, label="dog"),
    ]
    dataset = read_dataset(write_labelme(tmp_path, *shapes))
    record = dataset[0]
    assert dataset.classes == ("cat", "dog")
    assert record.class_ids.tolist() == [1, 2, 2]
    assert record.boxes.tolist() == [[10, 5, 50, 25], [1, 1, 5, 5], [40, 5, 50, 15]]
    flat = [value for point in triangle for value in point]
    assert record.segmentations == ([SQUARE, flat], None, [flat])


def test_a_group_of_polygon_and_mask_is_their_union(tmp_path):
    mask = labelme_shape("mask", [[28, 20], [32, 29]], mask=png_base64(np.ones((10, 5), dtype=bool)), group_id=4)
    record = read_dataset(write_labelme(tmp_path, labelme_shape(group_id=4), mask))[0]
    expected = np.zeros(SIZE[::-1], dtype=bool)
    expected[5:25, 10:30] = expected[20:30, 28:33] = True
    np.testing.assert_array_equal(decode_mask(record.segmentations[0], *SIZE[::-1]), expected)
    assert record.boxes.tolist() == [[10, 5, 33, 30]]


def test_flags_and_score(tmp_path):
    shapes = [labelme_shape(flags={"difficult": True}, score=0.5), labelme_shape(flags={"crowd": True}, score=1)]
    record = read_dataset(write_labelme(tmp_path, *shapes))[0]
    assert (record.difficult.tolist(), record.crowd.tolist()) == ([True, False], [False, True])
    assert record.scores.tolist() == [0.5, 1]


def test_folders_are_splits_and_classes_do_not_depend_on_them(tmp_path):
    write_labelme(tmp_path / "train", labelme_shape(label="zebra"))
    write_labelme(tmp_path / "val", labelme_shape(label="ant"))
    dataset = read_dataset(tmp_path, "val")
    assert (dataset.split, dataset.classes, dataset[0].image_id) == ("val", ("ant", "zebra"), "a")
    with pytest.raises(DataError, match="several splits; choose one with --split: train, val"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="no split 'test'; choose one of: train, val"):
        read_dataset(tmp_path, "test")


def test_the_image_may_be_elsewhere_in_the_data_set(tmp_path):
    write_labelme(tmp_path / "set" / "train", imagePath="..\\photos\\b.jpg")
    (tmp_path / "set/train/a.jpg").rename(tmp_path / "set/train/c.jpg")
    photo = write_photo(tmp_path / "set" / "photos" / "b.jpg")
    assert read_dataset(tmp_path / "set", strict=True)[0].path.samefile(photo)
    with pytest.raises(DataError, match="leaves the folder"):
        read_dataset(tmp_path / "set" / "train", strict=True)


def test_a_missing_size_is_read_from_the_image(tmp_path):
    record = read_dataset(write_labelme(tmp_path, imageWidth=None, imageHeight=None))[0]
    assert (record.width, record.height) == SIZE


BAD_SHAPES = [
    (labelme_shape("line", label="dog"), "shape 2: shape_type 'line' has no area, and lies in no box of 'dog'"),
    (labelme_shape("spline"), "shape 2: shape_type 'spline' has no area; use rectangle"),
    (labelme_shape("polygon", [[1, 2], [3, 4]]), "shape 2: a polygon has 2 points"),
    (labelme_shape("polygon", [[1, 2], [3, 4], [5]]), r"shape 2: a point is not \[x, y\]"),
    (labelme_shape("polygon", [[1, 2], [3, 4], [5, 99]]), "shape 2: (box .* reaches out|a polygon lies outside)"),
    (labelme_shape("rectangle", [[5, 5], [5, 9]]), "shape 2: box .* is empty"),
    (labelme_shape(label=3), "shape 2: 'label' is a int, not text"),
    (labelme_shape(group_id=[1]), "shape 2: group_id is a list"),
    (labelme_shape(score="x"), "shape 2: 'score' is a str"),
    (labelme_shape("mask", [[1, 1], [2, 2]]), "shape 2: has no 'mask'"),
    (labelme_shape("mask", [[1, 1], [2, 2]], mask="@@"), "shape 2: mask is not a PNG in base64"),
    (labelme_shape("mask", [[1, 1], [2, 2]], mask="AAAA"), "shape 2: mask is not a PNG in base64"),
    (labelme_shape("mask", [[50, 1], [69, 9]], mask=png_base64(np.ones((9, 20), bool))), "shape 2: box .* outside"),
    ({"points": []}, "shape 2: has no 'label'"),
    (7, "shape 2: is a int, not an object"),
]


@pytest.mark.parametrize(("shape", "message"), BAD_SHAPES)
def test_a_bad_shape_is_named_with_its_number(tmp_path, shape, message):
    write_labelme(tmp_path, labelme_shape(), shape)
    good = json.loads((tmp_path / "a.json").read_text())
    good["shapes"].pop()
    (tmp_path / "b.json").write_text(json.dumps(good))
    with pytest.raises(DataError, match=rf"a\.json: {message}"):
        read_dataset(tmp_path, strict=True)
    dataset = read_dataset(tmp_path, on_error="skip", strict=True)
    assert ([record.image_id for record in dataset], dataset.rejected[0].image_id) == (["b"], "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"shapes": [', "line 1: is not JSON"),
        ('{"shapes": 3}', "'shapes' is a int, not a list"),
        ('{"shapes": []}', "image 'c.jpg' is not in"),
        (
            '{"shapes": [], "imagePath": "a.jpg", "imageWidth": 1000000, "imageHeight": 1000000}',
            "size 1e.06x1e.06 is not",
        ),
        ('{"shapes": [], "imagePath": "no.jpg"}', "image 'no.jpg' is not in"),
        ('{"shapes": [], "imagePath": "../../no.jpg"}', "leaves the folder"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "c.json").write_text(text)
    write_labelme(tmp_path)
    with pytest.raises(DataError, match=rf"c\.json: .*{message}"):
        read_dataset(tmp_path, format="labelme", strict=True)


def test_detection_does_not_take_other_json_for_labelme(tmp_path):
    Path(tmp_path / "a.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="holds no data set that is known"):
        read_dataset(tmp_path)


def test_a_mask_that_says_it_is_huge_is_refused_before_it_is_unpacked(tmp_path):
    text = base64.b64encode(png_header_alone(9000, 9000)).decode()
    write_labelme(tmp_path, labelme_shape("mask", [[1, 1], [2, 2]], mask=text))
    with pytest.raises(DataError, match=r"shape 1: box of the mask lies outside the 60x40 image"):
        read_dataset(tmp_path, strict=True)


def test_half_a_character_in_a_label_is_refused(tmp_path):
    write_labelme(tmp_path, labelme_shape(label="\ud800"))
    with pytest.raises(DataError, match="shape 1: 'label' has half a character"):
        read_dataset(tmp_path, strict=True)
