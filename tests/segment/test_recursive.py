"""The rules of Simple Does It between two rounds of training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.data.records import boxes_to_mask, paint_order
from bana.segment.recursive import allowed_classes, front_boxes, reset_small, too_small, within_boxes
from reference import update_loops


def case(seed, boxes=3, classes=3, size=(7, 8)):
    """Probabilities, some of them 0, boxes of any place, their classes, and two label maps."""
    generator = np.random.default_rng(seed)
    height, width = size
    low = np.stack([generator.integers(0, limit - 1, boxes) for limit in (width, height)], 1)
    high = np.stack([generator.integers(low[:, axis] + 1, limit + 1) for axis, limit in enumerate((width, height))], 1)
    corners = np.concatenate([low, high], 1).astype(np.float32)
    regions = np.zeros((boxes, height, width), bool)
    for region, box in zip(regions, corners, strict=True):
        region[:] = boxes_to_mask(box[None], height, width)
    probabilities = generator.random((classes + 1, height, width)) * (generator.random((height, width)) < 0.8)
    probabilities = (probabilities / np.maximum(probabilities.sum(0), 1e-9)).astype(np.float32)
    first, labels = generator.integers(0, classes + 1, (2, height, width)).astype(np.uint8)
    return probabilities, regions, generator.integers(1, classes + 1, boxes), labels, first, paint_order(corners)


any_case = given(seed=st.integers(0, 10**6), boxes=st.integers(0, 4))


@settings(deadline=None, max_examples=40)
@any_case
def test_classes_stay_inside_their_boxes(seed, boxes):
    probabilities, regions, class_ids, *_ = case(seed, boxes)
    present, allowed = allowed_classes(regions, class_ids)
    found = within_boxes(probabilities, present, allowed)
    expected = update_loops.within_boxes(probabilities, regions, class_ids)
    np.testing.assert_allclose(found, expected[present], atol=1e-6)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-6)
    assert not found[~allowed].any()


@settings(deadline=None, max_examples=40)
@any_case
def test_small_segments_are_reset_as_in_the_loops(seed, boxes):
    _, regions, class_ids, labels, first, order = case(seed, boxes)
    small = too_small(labels, regions, class_ids)
    found = reset_small(labels, first, small, front_boxes(regions, order))
    np.testing.assert_array_equal(found, update_loops.denoised(labels, first, regions, class_ids, order))
    assert found.dtype == labels.dtype


@pytest.mark.parametrize(("rows", "reset"), [(2, True), (3, False), (6, False)])
def test_a_box_is_reset_when_less_than_half_of_it_is_left(rows, reset):
    regions = np.zeros((1, 8, 8), bool)
    regions[0, 1:7, 1:7] = True
    labels, first = np.zeros((8, 8), np.uint8), np.where(regions[0], 2, 0).astype(np.uint8)
    labels[1 : 1 + rows, 1:7] = 2
    small = too_small(labels, regions, np.array([2]))
    found = reset_small(labels, first, small, front_boxes(regions, [0]))
    np.testing.assert_array_equal(found, first if reset else labels)


def test_a_box_in_front_is_not_reset_for_the_one_behind():
    regions = np.zeros((2, 8, 8), bool)
    regions[0], regions[1, 2:4, 2:4] = True, True
    labels = np.where(regions[1], 1, 0).astype(np.uint8)
    first = np.full((8, 8), 2, np.uint8)
    small = too_small(labels, regions, np.array([2, 1]))
    assert small.tolist() == [True, False]
    found = reset_small(labels, first, small, front_boxes(regions, [0, 1]))
    np.testing.assert_array_equal(found, np.where(regions[1], 1, 2))
