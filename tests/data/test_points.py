"""Points and strokes of annotation files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bana.data.convert import convert
from bana.data.points import along, flat_points
from bana.data.reading import read_dataset
from bana.data.records import Point
from bana.errors import DataError
from data_samples import labelme_shape, write_coco, write_labelme

BOX = [[10, 5], [50, 35]]

number = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(st.tuples(number, number), min_size=1, max_size=6), st.floats(0.5, 50))
def test_places_along_a_stroke(stroke, step):
    places = np.array(along(stroke, step))
    np.testing.assert_allclose(places[[0, -1]], [stroke[0], stroke[-1]], atol=1e-6)
    assert (np.hypot(*np.diff(places, axis=0).T) <= step + 1e-6).all()
    length = np.hypot(*np.diff(np.array(stroke), axis=0).T).sum()
    assert len(places) <= length / step + 2


@pytest.mark.parametrize("values", [7, [1, 2], [1, 2, 2], [1, "a", 1], [1, float("inf"), 1], None, [[1, 2, 1]]])
def test_flat_points_are_triples(values):
    with pytest.raises(DataError, match=r"here: points is no list \[x, y, v, ...\]"):
        flat_points(values, "here")


def test_flat_points():
    assert flat_points([1, 2, 1, 3.5, 4, 0], "here") == [Point(1, 2, True), Point(3.5, 4, False)]
    assert flat_points([], "here") == []


def labelme_points(tmp_path, *shapes):
    return read_dataset(write_labelme(tmp_path, labelme_shape("rectangle", BOX), *shapes), strict=True)[0].points


def test_a_point_is_on_the_object_of_its_label(tmp_path):
    assert labelme_points(tmp_path, labelme_shape("point", [[20, 10]])) == ((Point(20, 10, True),),)


def test_a_line_becomes_points(tmp_path):
    (points,) = labelme_points(tmp_path, labelme_shape("linestrip", [[12, 10], [12, 20], [42, 20]]))
    xs, ys, known = zip(*points, strict=True)
    assert all(known)
    assert (xs[0], ys[0], xs[-1], ys[-1]) == (12, 10, 42, 20)
    step = 0.05 * (40 * 30) ** 0.5
    assert len(points) == int(np.ceil(40 / step)) + 1


def test_a_background_point_is_beside_every_object_that_it_lies_in(tmp_path):
    small = labelme_shape("rectangle", [[15, 10], [25, 20]], label="dog")
    mark = labelme_shape("point", [[20, 15]], label="_background_")
    found = labelme_points(tmp_path, small, mark)
    assert found == ((Point(20, 15, False),), (Point(20, 15, False),))


def test_a_point_is_meant_for_the_smallest_box_of_its_label(tmp_path):
    small, other = (labelme_shape("rectangle", [[15, 10], [25, 20]], label=label) for label in ("cat", "dog"))
    found = labelme_points(tmp_path, small, other, labelme_shape("point", [[20, 15]]))
    assert found == ((), (Point(20, 15, True),), ())


def test_a_group_names_the_object(tmp_path):
    boxes = [labelme_shape("rectangle", [[15, 10], [25, 20]], group_id=2), labelme_shape("rectangle", BOX, group_id=3)]
    marks = [
        labelme_shape("point", [[20, 15]], group_id=3),
        labelme_shape("point", [[22, 15]], label="_background_", group_id=2),
    ]
    found = labelme_points(tmp_path, *boxes, *marks)
    assert found == ((), (Point(22, 15, False),), (Point(20, 15, True),))


def test_a_stroke_in_no_box_of_its_label_is_left_out(tmp_path):
    write_labelme(tmp_path, labelme_shape(), labelme_shape("point", [[1, 1]]), labelme_shape("point", label="nose"))
    dataset = read_dataset(tmp_path)
    assert dataset[0].points == ()
    assert dataset.classes == ("cat",)
    assert [note.reason.split(": ")[1] for note in dataset.notes] == ["shape 2", "shape 3"]


def coco_with(tmp_path, values):
    file = write_coco(tmp_path) / "instances.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["points"] = values
    file.write_text(json.dumps(content))
    return content["annotations"][0]["bbox"]


def test_points_of_coco(tmp_path):
    x, y, _, _ = coco_with(tmp_path, [])
    coco_with(tmp_path, [x + 1, y + 2, 1, x + 3, y + 1, 0])
    first = read_dataset(tmp_path, strict=True)[0]
    assert first.points[0] == (Point(x + 1, y + 2, True), Point(x + 3, y + 1, False))


@pytest.mark.parametrize("values", [[-500, 2, 1], [1, 2], "here"])
def test_points_of_coco_that_cannot_be_used_cost_themselves(tmp_path, values):
    coco_with(tmp_path, values)
    dataset = read_dataset(tmp_path)
    assert not any(dataset[0].points)
    assert any("points" in note.reason for note in dataset.notes)
    assert len(dataset[0]) > 0


@pytest.mark.parametrize("target", ["coco", "labelme"])
def test_points_survive_a_conversion(tmp_path, target):
    shapes = [
        labelme_shape("rectangle", BOX, group_id=1),
        labelme_shape("rectangle", [[12, 6], [40, 30]], group_id=2),
        labelme_shape("point", [[20, 15]], group_id=1),
        labelme_shape("point", [[22.25, 15]], label="_background_", group_id=2),
    ]
    source = read_dataset(write_labelme(tmp_path / "in", *shapes))
    convert(tmp_path / "in", tmp_path / "out", target)
    found = read_dataset(tmp_path / "out", strict=True)[0]
    assert found.points == source[0].points == ((Point(20, 15, True),), (Point(22.25, 15, False),))
    np.testing.assert_array_equal(found.boxes, source[0].boxes)


@pytest.mark.parametrize("target", ["voc", "yolo", "dota"])
def test_formats_without_points_say_so(tmp_path, target):
    shapes = [labelme_shape("rectangle", BOX), labelme_shape("point", [[20, 15]]), labelme_shape("point", [[21, 15]])]
    write_labelme(tmp_path / "in", *shapes)
    (report,) = convert(tmp_path / "in", tmp_path / "out", target).reports.values()
    assert report.lost["points set in boxes"] == 2
