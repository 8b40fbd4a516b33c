import numpy as np
import pytest

from bana.label.unaries import STEP, raised_unaries, reached_share
from reference import tightness_loops

BOX = np.array([[2, 1, 6, 5]], np.float32)


def labels_of(*pixels):
    labels = np.zeros((8, 10), np.int64)
    for y, x in pixels:
        labels[y, x] = 1
    return labels


def test_the_share_of_rows_and_columns_that_a_mask_reaches_into():
    mask = np.zeros((4, 6), bool)
    assert reached_share(mask) == 0
    mask[1, 2] = mask[1, 3] = True
    assert reached_share(mask) == pytest.approx((1 + 2) / 10)
    mask[:, 0] = mask[0] = True
    assert reached_share(mask) == 1


def test_a_diagonal_satisfies_its_box():
    labels = labels_of((1, 2), (2, 3), (3, 4), (4, 5))
    assert raised_unaries(labels, BOX, np.array([1]), 2, least=1.0) is None


def test_empty_rows_and_columns_are_raised_and_crossings_twice():
    raised = raised_unaries(labels_of((1, 2), (2, 2)), BOX, np.array([1]), 2, least=0.9)
    expected = np.zeros((2, 8, 10))
    expected[1, 1:3, 3:6] = STEP  # an empty column in a row that is reached
    expected[1, 3:5, 2] = STEP
    expected[1, 3:5, 3:6] = 2 * STEP
    np.testing.assert_array_equal(raised, expected)


def test_nothing_is_raised_where_the_share_is_reached():
    labels = labels_of((1, 2), (2, 2))  # 2 of 4 rows, 1 of 4 columns
    assert raised_unaries(labels, BOX, np.array([1]), 2, least=0.375) is None
    assert raised_unaries(labels, BOX, np.array([1]), 2, least=0.376) is not None
    assert raised_unaries(labels_of(), BOX, np.array([1]), 2, least=0.0) is None


@pytest.mark.parametrize("seed", range(5))
def test_many_boxes_are_as_the_loops_say(seed):
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(0, [[20, 14]], (2, 6, 2)), axis=0)
    boxes = np.concatenate([corners[0], corners[1] + 0.5], 1).clip(0, [20, 14, 20, 14]).astype(np.float32)
    classes = random.integers(1, 4, len(boxes))
    labels = random.choice(4, size=(14, 20), p=[0.85, 0.05, 0.05, 0.05])
    raised = raised_unaries(labels, boxes, classes, 4, least=0.8)
    np.testing.assert_array_equal(raised, tightness_loops.raised(labels.tolist(), boxes, classes, 4, 0.8, STEP))
