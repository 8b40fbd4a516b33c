"""Points set in boxes: masks are corrected around them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from bana import Labeler
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.data.records import Point
from bana.data.sample import sample_dataset
from bana.errors import DataError
from bana.label import points
from bana.label.boxes import BoxedImage
from bana.label.output import input_digest
from bana.label.points import corrected, corrected_boxes, kernel_weights, known_labels
from data_samples import labelme_shape, write_labelme
from reference.points_loops import corrected as corrected_naively

WHOLE = (slice(0, 24), slice(0, 32))


@dataclass
class Given:
    values: np.ndarray
    place: tuple = WHOLE

    def at(self, place):
        return self.values[place]


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(3).integers(0, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def given():
    return Given(np.random.default_rng(4).random((24, 32), dtype=np.float32))


@pytest.mark.parametrize(
    "chosen",
    [
        [(5.5, 4.5, True)],
        [(5.5, 4.5, True), (6.5, 4.5, False), (30.5, 20.5, True)],
        [(10.5, 10.5, True), (10.5, 10.5, False)],
    ],
)
def test_equals_the_pixelwise_correction(picture, given, chosen):
    found = corrected(given, picture, [Point(*each) for each in chosen], 28.0)
    scales = (points.REACH * 28, points.COLOR_REACH, points.KNOWN, points.NOISE, 1e-3)
    expected = corrected_naively(given.values, picture, chosen, *scales)
    np.testing.assert_allclose(found.at(WHOLE), expected, atol=2e-5)
    part = (slice(3, 9), slice(20, 32))
    np.testing.assert_allclose(found.at(part), expected[part], atol=2e-5)


def test_a_point_decides_its_pixel_and_leaves_what_is_far():
    flat = np.full((60, 60, 3), 90, np.uint8)
    unsure = Given(np.full((60, 60), 0.3, np.float32), (slice(0, 60), slice(0, 60)))
    for is_object in (True, False):
        found = corrected(unsure, flat, [Point(10.5, 10.5, is_object)], 60.0).at(unsure.place)
        assert (found[10, 10] > 0.9) == is_object
        assert (found[12, 12] > 0.5) == is_object
        np.testing.assert_allclose(found[58, 58], 0.3, atol=1e-3)


def test_a_point_changes_little_of_another_color():
    image = np.full((20, 20, 3), 20, np.uint8)
    image[:, 11:] = 230
    unsure = Given(np.full((20, 20), 0.3, np.float32), (slice(0, 20), slice(0, 20)))
    found = corrected(unsure, image, [Point(9.5, 9.5, True)], 20.0).at(unsure.place)
    assert found[9, 7] > 0.5 > found[9, 11]


def test_what_is_known_already_changes_nothing(picture):
    sure = Given(np.full((24, 32), 0.99, np.float32))
    found = corrected(sure, picture, [Point(5.5, 4.5, True)], 28.0).at(WHOLE)
    np.testing.assert_allclose(found, 0.99, atol=1e-6)


def test_weights_add_what_is_missing():
    places = np.random.default_rng(0).normal(size=(6, 5)) * 3
    missing = np.array([1.0, -2, 3, 0, 5, -1])
    weights = kernel_weights(places, missing)
    added = np.exp(-((places[:, None] - places[None]) ** 2).sum(2) / 2) @ weights
    np.testing.assert_allclose(added, missing, atol=0.1)


def test_of_many_points_some_are_used(picture, given):
    many = [Point(x / 100 + 0.5, 4.5, True) for x in range(3000)]
    assert len(corrected(given, picture, many, 28.0).weights) == points.MAX_POINTS


def boxed_image(boxes, ids, chosen, size=(40, 60)):
    return BoxedImage(np.zeros((*size, 3), np.uint8), boxes, ids, None, None, 3, (), chosen)


def test_a_point_on_one_object_is_on_no_other():
    boxes = [[0, 0, 40, 40], [20, 0, 60, 40]]
    boxed = boxed_image(boxes, [1, 2], [[(30, 20, 1), (25, 20, 0)], []])
    image = np.zeros((40, 60, 3), np.uint8)
    even = [Given(np.full((40, 60), 0.5, np.float32), place) for place in boxed.places]
    first, second = corrected_boxes(boxed, image, even)
    at = (slice(20, 21), slice(30, 31))
    assert first.at(at) > 0.5 > second.at(at)
    beside = (slice(20, 21), slice(22, 23))
    assert first.at(beside) < 0.5  # and the second box knows nothing of that one
    assert second.weights.shape == (1,)


def test_points_are_known_to_the_crf_within_their_discs():
    boxed = boxed_image([[0, 0, 40, 40], [20, 0, 60, 40]], [3, 1], [[(5, 5, 0), (25, 20, 0)], [(50, 20, 1)]])
    known = known_labels(boxed, [0, 1, 3]).numpy()
    assert known[5, 5] == 0
    assert known[20, 50] == 1
    assert known[20, 25] == -1  # it may be the other object
    assert (known >= 0).sum() == (known == 0).sum() + (known == 1).sum()
    radius = 0.05 * 40
    ys, xs = np.mgrid[:40, :60] + 0.5
    np.testing.assert_array_equal(known == 1, (xs - 50) ** 2 + (ys - 20) ** 2 <= radius**2)


def test_discs_stay_in_their_box_and_hold_a_pixel():
    known = known_labels(boxed_image([[10, 10, 14, 14]], [1], [[(10, 10, 1)]]), [0, 1]).numpy()
    assert known[10, 10] == 1
    assert (known[:10] == -1).all()
    assert (known[:, :10] == -1).all()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([[(5, 5, 1)]], "points: has 1 entries for 2 boxes"),
        ([[(50, 5, 1)], []], r"points: box 0 has \(50, 5, 1\); give \(x, y, 1 or 0\) inside"),
        ([[], [(30, 5)]], "points: box 1 has"),
        ([[], [(30, 5, 2)]], "points: box 1 has"),
        ([[], [("a", 5, 1)]], "points: box 1 has"),
        ([[], [(float("nan"), 5, 1)]], "points: box 1 has"),
    ],
)
def test_bad_points_are_named(chosen, message):
    with pytest.raises(DataError, match=message):
        boxed_image([[0, 0, 40, 40], [20, 0, 60, 40]], [1, 2], chosen)


def test_points_follow_a_reduced_image():
    boxed = boxed_image([[0, 0, 41, 39]], [1], [[(41, 39, 1), (8, 4, 0)]])
    assert boxed.reduced(4).points == ((Point(10.25, 9.75, True), Point(2, 1, False)),)


@pytest.fixture(scope="module")
def labeled():
    record = next(record for record in sample_dataset() if len(record) == 2)
    return record, open_record_image(record), Labeler.pretrained().for_classes(sample_dataset().classes)


@pytest.mark.parametrize("refine", [True, False])
def test_points_change_the_label_where_they_are(labeled, refine):
    record, image, labeler = labeled
    labeler = labeler.with_settings(labeler.settings.with_options(refine=refine))
    before = labeler(image, record.boxes, record.class_ids)
    ys, xs = np.nonzero(before.instances[0].mask & ~before.instances[1].mask)
    on, (x0, y0, _, _) = (int(ys[len(ys) // 2]), int(xs[len(xs) // 2])), record.boxes[0].astype(int)
    assert not before.instances[0].mask[y0 + 1, x0 + 1]
    chosen = [[(on[1] + 0.5, on[0] + 0.5, False), (x0 + 1.5, y0 + 1.5, True)], []]
    after = labeler(image, record.boxes, record.class_ids, points=chosen)
    assert not after.instances[0].mask[on]
    assert after.instances[0].mask[y0 + 1, x0 + 1]
    assert after.y_crf[y0 + 1, x0 + 1] == record.class_ids[0]
    none = labeler(image, record.boxes, record.class_ids, points=[[], []])
    np.testing.assert_array_equal(none.y_crf, before.y_crf)
    np.testing.assert_array_equal(none.confidence, before.confidence)


def test_labels_with_other_points_are_made_anew(labeled):
    record, _, _ = labeled
    x0, y0, _, _ = record.boxes[0].tolist()
    one = replace(record, points=((Point(x0 + 3, y0 + 3, True),), ()))
    other = replace(record, points=((Point(x0 + 3, y0 + 3, False),), ()))
    digests = {input_digest(each, "labeling") for each in (record, one, other)}
    assert len(digests) == 3


def test_the_command_uses_the_points_of_a_data_set(run_cli, tiny_run, tmp_path):
    box, background = labelme_shape("rectangle", [[10, 5], [50, 35]]), {"label": "_background_"}
    masks = []
    for name, marks in (("without", []), ("with", [labelme_shape("point", [[x, 20]]) | background for x in (20, 40)])):
        write_labelme(tmp_path / name, box, *marks)
        (tmp_path / name / "labels.txt").write_text("disk\nsquare\ncross\ncat\n")
        out = tmp_path / f"{name}-labels"
        done = run_cli("label", tmp_path / name, "--labeler", tiny_run, "--out", out, "--workers", 1)
        assert done.status == 0, done.stderr
        record = read_dataset(tmp_path / name)[0]
        masks.append(LabelFolder(out).label_map("y_crf", record))
    assert masks[0][20, 20] == masks[0][20, 40] == 4
    assert masks[1][20, 20] == masks[1][20, 40] == 0
