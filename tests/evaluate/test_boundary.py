import math

import numpy as np
import pytest

from bana.errors import DataError, SettingsError
from bana.evaluate import BoundaryIoU
from bana.evaluate.boundary import band_width, boundary_band
from reference.evaluate_loops import boundary_by_erosion, boundary_counts


def band_of(mask, width):
    return {(int(y), int(x)) for y, x in np.argwhere(boundary_band(mask, width))}


@pytest.mark.parametrize(
    ("height", "width", "pixels"), [(375, 500, 12), (500, 375, 12), (480, 640, 16), (1, 1, 1), (30, 40, 1), (60, 80, 2)]
)
def test_band_is_two_percent_of_the_diagonal(height, width, pixels):
    assert band_width(height, width) == pixels


def test_band_of_a_square_is_its_ring():
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:7, 2:7] = True
    inside = np.zeros_like(mask)
    inside[3:6, 3:6] = True
    assert np.array_equal(boundary_band(mask, 1), mask & ~inside)
    assert np.array_equal(boundary_band(mask, 3), mask)


def test_the_edge_of_the_image_is_a_border():
    assert boundary_band(np.ones((5, 6), dtype=bool), 1).sum() == 5 * 6 - 3 * 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (40, 33), (70, 110), (5, 260)])
def test_band_agrees_with_rounds_of_erosion(shape):
    rng = np.random.default_rng(sum(shape))
    blobs = np.kron(rng.random((shape[0] // 8 + 1, shape[1] // 8 + 1)) < 0.7, np.ones((8, 8), dtype=bool))
    mask = blobs[: shape[0], : shape[1]]
    assert band_of(mask, band_width(*shape)) == boundary_by_erosion(mask.tolist())


def test_counts_agree_with_the_naive_version():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.choice([0, 1, 2, 255], (5, 7), p=[0.4, 0.25, 0.25, 0.1]), np.ones((12, 12))).astype(np.uint8)
    prediction = np.roll(truth, 2, axis=1)
    scores = BoundaryIoU(4)
    scores.update(prediction, truth)
    expected = boundary_counts(prediction.tolist(), truth.tolist(), 4)
    assert list(zip(scores.intersection.tolist(), scores.union.tolist(), strict=True)) == expected
    assert expected[1][1] > expected[1][0] > 0


def test_scores_by_hand():
    # 6x6 object in 12x12 (band 1): true ring of 20 pixels; a prediction one column to the right shares the two long
    # sides' 5 pixels each, and its own left column's four inner pixels are inside the true object.
    truth, prediction = np.zeros((2, 12, 12), dtype=np.uint8)
    truth[3:9, 3:9] = 1
    prediction[3:9, 4:10] = 1
    scores = BoundaryIoU(2)
    scores.update(prediction, truth)
    assert (scores.intersection[1], scores.union[1]) == (10, 30)
    assert scores.per_class()[1] == pytest.approx(100 / 3)


def test_summed_over_images_and_absent_classes_left_out():
    square = np.zeros((12, 12), dtype=np.uint8)
    square[3:9, 3:9] = 1
    scores = BoundaryIoU(3)
    scores.update(square, square)
    scores.update(np.zeros_like(square), square)
    background, object_score, absent = scores.per_class()
    assert object_score == 50.0
    assert math.isnan(absent)
    assert scores.mean() == pytest.approx((background + object_score) / 2)


def test_what_is_predicted_on_void_does_not_matter():
    truth = np.zeros((40, 40), dtype=np.uint8)
    truth[8:32, 8:32] = 255
    truth[12:28, 12:28] = 1
    for extent in (slice(8, 32), slice(10, 30), slice(12, 28)):
        prediction = np.zeros_like(truth)
        prediction[extent, extent] = 1
        scores = BoundaryIoU(2)
        scores.update(prediction, truth)
        assert scores.mean() == 100.0


def test_all_void_image_counts_nothing():
    scores = BoundaryIoU(2)
    scores.update(np.ones((8, 8), dtype=np.uint8), np.full((8, 8), 255, dtype=np.uint8))
    assert scores.union.tolist() == [0, 0]
    assert math.isnan(scores.mean())


@pytest.mark.parametrize(
    ("prediction", "truth"),
    [
        (np.zeros((4, 4), int), np.zeros((4, 5), int)),
        (np.zeros(4, int), np.zeros(4, int)),
        (np.full((4, 4), 7), np.zeros((4, 4), int)),
        (np.zeros((4, 4), int), np.full((4, 4), -1)),
    ],
)
def test_bad_labels(prediction, truth):
    with pytest.raises(DataError):
        BoundaryIoU(2).update(prediction, truth)


def test_bad_settings():
    with pytest.raises(SettingsError):
        BoundaryIoU(21, ignore_index=3)
