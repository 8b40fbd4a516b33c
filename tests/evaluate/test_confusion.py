import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bana.errors import BanaError, DataError, SettingsError
from bana.evaluate.confusion import (
    ConfusionMatrix,
    binary_iou,
    binary_miou,
    iou_per_class,
    mean_iou,
    mean_iou_of_all,
)
from reference.evaluate_loops import confusion_by_pixel, iou_by_class

LABELS = st.sampled_from([0, 1, 2, 3, 255])
PAIRS = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=LABELS)] * 2)
)


def confusion_of(prediction, truth, num_classes=3):
    confusion = ConfusionMatrix(num_classes)
    confusion.update(np.array(prediction, dtype=np.uint8), np.array(truth, dtype=np.uint8))
    return confusion


def test_rows_are_truth_and_columns_prediction():
    confusion = confusion_of([[2, 2, 0]], [[1, 1, 0]])
    assert confusion.counts.dtype == np.int64
    assert confusion.counts.tolist() == [[1, 0, 0], [0, 0, 2], [0, 0, 0]]


@pytest.mark.parametrize(
    ("prediction", "truth", "iou", "mean"),
    [
        # intersections 2 and 1, unions 3 and 2; class 2 occurs nowhere
        ([[0, 0, 1, 1]], [[0, 0, 0, 1]], [200 / 3, 50.0, None], (200 / 3 + 50) / 2),
        ([[0, 1, 2]], [[0, 1, 2]], [100.0, 100.0, 100.0], 100.0),
        ([[1, 2, 0]], [[0, 1, 2]], [0.0, 0.0, 0.0], 0.0),
        # predicted but not true: the class is present, with 0
        ([[0, 2]], [[0, 0]], [50.0, None, 0.0], 25.0),
        # void truth takes no part, whatever is predicted there
        ([[0, 2, 1]], [[0, 255, 1]], [100.0, 100.0, None], 100.0),
        # left-out predictions take no part either
        ([[0, 255, 1]], [[0, 2, 1]], [100.0, 100.0, None], 100.0),
    ],
)
def test_iou(prediction, truth, iou, mean):
    confusion = confusion_of(prediction, truth)
    for source in (confusion, confusion.counts):
        assert iou_per_class(source) == pytest.approx([math.nan if each is None else each for each in iou], nan_ok=True)
        assert mean_iou(source) == pytest.approx(mean)
    assert confusion.absent == tuple(index for index, each in enumerate(iou) if each is None)
    assert isinstance(mean_iou(confusion), float)


def test_iou_is_summed_over_images_before_it_is_divided():
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]]))
    confusion.update(np.array([[0]]), np.array([[1]]))
    assert iou_per_class(confusion).tolist() == [0.0, 80.0]


def test_ignored_share_is_a_share_of_the_pixels_with_a_true_class():
    confusion = confusion_of([[255, 255, 0, 1]], [[255, 1, 0, 1]])
    assert confusion.ignored_pixels == 1
    assert confusion.ignored_share == pytest.approx(100 / 3)
    assert mean_iou(confusion) == 100.0


@pytest.mark.parametrize("update", [False, True])
def test_nothing_to_score_is_nan_not_zero(update):
    confusion = ConfusionMatrix(3)
    if update:
        confusion.update(np.zeros((4, 5), dtype=np.uint8), np.full((4, 5), 255, dtype=np.uint8))
    assert math.isnan(mean_iou(confusion))
    assert math.isnan(confusion.ignored_share)
    assert math.isnan(binary_iou(confusion))
    assert confusion.absent == (0, 1, 2)


def test_everything_ignored():
    confusion = confusion_of([[255, 255]], [[0, 1]])
    assert confusion.ignored_share == 100.0
    assert math.isnan(mean_iou(confusion))


def test_foreground_iou_forgives_the_class_but_not_the_place():
    # object pixels: truth 3, prediction 3, both 2 (one of them of another class), either 4
    assert binary_iou(confusion_of([[1, 2, 1, 0, 0]], [[1, 1, 0, 2, 0]])) == 50.0


def test_binary_miou_is_the_mean_with_the_background():
    # background: both 1, either 3
    confusion = confusion_of([[1, 2, 1, 0, 0]], [[1, 1, 0, 2, 0]])
    assert binary_miou(confusion) == pytest.approx((50 + 100 / 3) / 2)
    assert binary_miou(confusion_of([[2, 2]], [[1, 1]])) == 100.0  # no background anywhere: it is left out
    assert math.isnan(binary_miou(ConfusionMatrix(3)))


def test_ids_beyond_eight_bits():
    confusion = ConfusionMatrix(301, ignore_index=65535)
    confusion.update(np.array([300, 255, 65535], dtype=np.uint16), np.array([300, 0, 1], dtype=np.uint16))
    assert (confusion.counts[300, 300], confusion.counts[0, 255], confusion.ignored_pixels) == (1, 1, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
def test_every_integer_type_counts_alike(dtype):
    confusion = ConfusionMatrix(3)
    confusion.update(np.array([[0, 1, 255]], dtype=dtype), np.array([[2, 1, 0]], dtype=dtype))
    assert confusion.counts.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("prediction", "truth", "said"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\).*\(3, 2\)"),
        (np.array([3]), np.array([0]), "prediction holds the label 3; classes are 0..2"),
        (np.array([0]), np.array([254]), "truth holds the label 254"),
        (np.array([-1]), np.array([0]), "prediction holds the label -1"),
        (np.array([0.0]), np.array([0]), "prediction is float64"),
        (np.array([True]), np.array([1]), "prediction is bool"),
    ],
)
def test_bad_labels_are_refused_and_nothing_is_counted(prediction, truth, said):
    confusion = ConfusionMatrix(3)
    with pytest.raises(DataError, match=said):
        confusion.update(prediction, truth)
    assert confusion.counts.sum() == 0


@pytest.mark.parametrize(("num_classes", "ignore_index"), [(0, 255), (-1, 255), (21, 20), (256, 255)])
def test_bad_settings(num_classes, ignore_index):
    with pytest.raises(SettingsError):
        ConfusionMatrix(num_classes, ignore_index)


@pytest.mark.parametrize("counts", [np.zeros((2, 3), int), np.zeros(4, int), np.eye(2), -np.eye(2, dtype=int)])
def test_bad_counts(counts):
    with pytest.raises(DataError):
        mean_iou(counts)


def test_matrices_of_other_class_lists_do_not_add_up():
    with pytest.raises(BanaError, match="3 and 4 classes"):
        ConfusionMatrix(3) + ConfusionMatrix(4)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_agrees_with_the_loop_over_pixels(pair):
    prediction, truth = pair
    confusion = confusion_of(prediction, truth, num_classes=4)
    counts, left_out = confusion_by_pixel(prediction.tolist(), truth.tolist(), 4)
    assert confusion.counts.tolist() == counts
    assert confusion.ignored_pixels == left_out
    expected = [math.nan if each is None else each for each in iou_by_class(counts)]
    assert iou_per_class(confusion) == pytest.approx(expected, nan_ok=True)


@given(st.lists(PAIRS, max_size=4), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_parts_of_a_data_set_add_up_to_the_whole(pairs, cut):
    whole, *parts = (ConfusionMatrix(4) for _ in range(3))
    for index, (prediction, truth) in enumerate(pairs):
        whole.update(prediction, truth)
        parts[index < cut].update(prediction, truth)
    total = parts[0] + parts[1]
    assert np.array_equal(total.counts, whole.counts)
    assert total.ignored_pixels == whole.ignored_pixels


def test_ignored_pixels_counted_as_wrong():
    """Class 1: two of four pixels right, one left open, one called 0; the void pixel counts for nothing."""
    confusion = ConfusionMatrix(2)
    confusion.update(np.array([1, 1, 255, 0, 0, 255]), np.array([1, 1, 1, 1, 0, 255]))
    assert confusion.ignored_counts.tolist() == [0, 1]
    assert mean_iou(confusion) == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    assert mean_iou_of_all(confusion) == pytest.approx(100 * (2 / 4 + 1 / 2) / 2)
    whole = ConfusionMatrix(2)
    whole.update(np.array([1, 0, 0]), np.array([1, 1, 0]))
    assert mean_iou_of_all(whole) == mean_iou(whole)
