"""Oriented boxes: what lies outside the turned rectangle is background."""

import numpy as np
import pytest

from bana import Labeler
from bana.data.images import open_record_image
from bana.data.objects import is_turned_rectangle, turned_rectangle_mask
from bana.data.reading import read_dataset
from bana.data.sample import sample_dataset
from bana.errors import DataError
from bana.label.boxes import BoxedImage
from data_samples import SIZE, write_yolo


def corners(angle, center=(30, 20), sides=(24, 12)):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array(sides) / 2 @ turn.T + center
    return points.ravel().tolist()


@pytest.mark.parametrize("angle", [0, 0.3, 1.2, 2.9])
@pytest.mark.parametrize("back", [False, True])
def test_pixels_of_a_turned_rectangle(angle, back):
    found = turned_rectangle_mask(corners(angle)[:: -1 if False else 1], (slice(0, 40), slice(0, 60)))
    if back:  # corners in the other direction
        points = np.reshape(corners(angle), (4, 2))[::-1]
        np.testing.assert_array_equal(turned_rectangle_mask(points.ravel(), (slice(0, 40), slice(0, 60))), found)
    ys, xs = np.mgrid[:40, :60] + 0.5
    along = (xs - 30) * np.cos(angle) + (ys - 20) * np.sin(angle)
    across = -(xs - 30) * np.sin(angle) + (ys - 20) * np.cos(angle)
    np.testing.assert_array_equal(found, (np.abs(along) <= 12) & (np.abs(across) <= 6))
    part = turned_rectangle_mask(corners(angle), (slice(10, 30), slice(20, 50)))
    np.testing.assert_array_equal(part, found[10:30, 20:50])


def test_what_a_turned_rectangle_is():
    assert is_turned_rectangle(corners(0.7))
    assert not is_turned_rectangle([0, 0, 10, 0, 14, 10, 4, 10])  # a parallelogram
    assert not is_turned_rectangle([0, 0, 10, 0, 10, 10, 0, 20])
    assert not is_turned_rectangle([5, 5, 5, 5, 5, 5, 5, 5])


def test_pixels_outside_the_rectangle_are_background():
    rectangle = corners(0.6)
    points = np.reshape(rectangle, (4, 2))
    image = np.zeros((40, 60, 3), np.uint8)
    boxed = BoxedImage(image, [[*points.min(0), *points.max(0)]], [1], None, None, 1, [rectangle])
    expected = turned_rectangle_mask(rectangle, (slice(0, 40), slice(0, 60)))
    np.testing.assert_array_equal(~boxed.background_mask.numpy(), expected)
    np.testing.assert_array_equal(boxed.region(0), expected)
    np.testing.assert_array_equal(boxed.class_region(1).numpy(), expected)
    with pytest.raises(DataError, match="oriented: has 2 entries for 1 boxes"):
        BoxedImage(image, [[0, 0, 9, 9]], [1], None, None, 1, [None, None])


@pytest.mark.parametrize("refine", [True, False])
def test_no_mask_leaves_its_rectangle(refine):
    record = next(record for record in sample_dataset() if len(record) == 2)
    image = open_record_image(record)
    box = record.boxes[0]
    rectangle = corners(0.5, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), (box[2:] - box[:2]) * 0.7)
    points = np.reshape(rectangle, (4, 2))
    bounds = np.clip([*points.min(0), *points.max(0)], 0, [*image.shape[1::-1]] * 2)
    labeler = Labeler.pretrained(threads=1)
    labeler = labeler.with_settings(labeler.settings.with_options(refine=refine)).for_classes(["thing"])
    labels = labeler(image, [bounds], [1], oriented=[rectangle])
    inside = turned_rectangle_mask(rectangle, (slice(0, image.shape[0]), slice(0, image.shape[1])))
    assert labels.instances[0].part.any()
    assert not (labels.instances[0].mask & ~inside).any()
    assert not labels.y_crf[~inside].any()
    whole = labeler(image, [bounds], [1])
    assert (whole.instances[0].mask & ~inside).any()


def test_oriented_boxes_are_written_back_as_they_came(tmp_path, run_cli):
    rows = [
        " ".join(f"{value:.6f}" for value in np.reshape(corners(angle), (4, 2)).__truediv__(SIZE).ravel())
        for angle in (0.3, 1)
    ]
    root = write_yolo(tmp_path / "yolo", {"a": f"0 {rows[0]}\n1 {rows[1]}\n"})
    before = read_dataset(root)[0]
    for number, target in enumerate(("yolo", "labelme", "yolo")):
        out = tmp_path / str(number)
        assert run_cli("convert", root, out, "--to", target).status == 0
        root, after = out, read_dataset(out, "train")[0]
        np.testing.assert_allclose(after.oriented, before.oriented, atol=1e-3)
        assert after.segmentations == (None, None)
