"""The pixels of boxes, their order, and the numbers of classes: what every stage counts on."""

import numpy as np
import pytest

from bana.data.records import ClassTable, boxes_to_mask, paint_order, pixel_slices


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 1, 6, 5), (1, 5), (2, 6)),  # half-open: 4 x 4 pixels
        ((2.5, 1.5, 6.5, 5.5), (1, 5), (2, 6)),  # centers on the left and upper side count, on the others do not
        ((2.4, 1.4, 6.4, 5.4), (1, 5), (2, 6)),
        ((2.6, 1.6, 6.6, 5.6), (2, 6), (3, 7)),
        ((0, 0, 1, 1), (0, 1), (0, 1)),
        ((3.6, 2.6, 3.9, 2.8), (2, 3), (3, 4)),  # no center: the pixel that holds the middle
        ((7.6, 3.6, 8, 4), (3, 4), (7, 8)),  # also at the border of an 8 x 4 image
    ],
)
def test_the_pixels_of_a_box_are_those_whose_center_lies_in_it(box, rows, columns):
    assert pixel_slices(box) == (slice(*rows), slice(*columns))


def test_a_mask_of_boxes_has_the_pixels_of_each():
    boxes = np.array([[1, 0, 3, 2], [2.4, 1, 4.6, 3]])
    expected = np.zeros((4, 6), bool)
    expected[0:2, 1:3] = expected[1:3, 2:5] = True
    np.testing.assert_array_equal(boxes_to_mask(boxes, 4, 6), expected)
    assert not boxes_to_mask(np.zeros((0, 4)), 4, 6).any()


def test_boxes_are_painted_from_the_largest_to_the_smallest_and_the_first_of_equals_last():
    boxes = [(0, 0, 4, 4), (0, 0, 2, 2), (5, 5, 7, 7), (0, 0, 8, 8)]
    assert paint_order(boxes) == [3, 0, 2, 1]


@pytest.mark.parametrize(
    ("count", "ignore_index", "dtype"),
    [(1, 255, np.uint8), (254, 255, np.uint8), (255, 65535, np.uint16), (300, 65535, np.uint16)],
)
def test_the_ignore_label_is_no_class(count, ignore_index, dtype):
    """254 classes, the background and the ignore label fill 8 bits; more need 16."""
    table = ClassTable(tuple(f"class {number}" for number in range(count)))
    assert (table.ignore_index, table.label_dtype) == (ignore_index, dtype)
    assert len(table) < ignore_index <= np.iinfo(dtype).max
