import numpy as np
import pytest

from bana.data.records import pixel_slices
from bana.errors import DataError
from bana.label.boxes import BoxedImage

IMAGE = np.zeros((20, 30, 3), np.uint8)


def boxed(boxes=((2, 3, 10, 8),), class_ids=(1,), crowd=None, ignored=None, classes=2):
    return BoxedImage(IMAGE, boxes, class_ids, crowd, ignored, classes)


def test_regions_and_what_lies_outside_all():
    made = boxed([(2, 3, 10, 8), (5, 5, 30, 20)], [1, 2])
    assert [made.region(number).sum() for number in range(2)] == [8 * 5, 25 * 15]
    assert made.background_mask.sum() == 600 - 40 - 375 + 5 * 3
    assert made.places_of(2) == [(slice(5, 20), slice(5, 30))]
    assert made.places_of(3) == []
    assert (made.class_region(2).numpy() == made.region(1)).all()
    assert not made.class_region(3).any()


def test_no_boxes():
    made = boxed([], [])
    assert made.background_mask.all()
    assert made.places == []


def test_boxes_partly_and_wholly_outside_the_image():
    made = boxed([(-5, -5, 4, 6), (25, 15, 99, 99), (40, 0, 50, 10), (-9, -9, 0, 0)], [1, 1, 2, 2])
    assert made.usable.tolist() == [True, True, False, False]
    assert [made.region(number).sum() for number in range(4)] == [4 * 6, 5 * 5, 0, 0]


@pytest.mark.parametrize(
    "box", [(29.6, 19.6, 30, 20), (29.9, 5, 30, 10), (0, 0, 0.01, 0.01), (3.6, 3.6, 4.4, 4.4), (7.1, 2.1, 7.4, 2.4)]
)
def test_a_box_around_no_pixel_center_still_has_one_pixel_of_the_image(box):
    made = boxed([box], [1])
    assert made.usable.tolist() == [True]
    assert made.region(0).any()
    rows, columns = pixel_slices(np.float32(box))
    assert rows.stop <= 20
    assert columns.stop <= 30


def test_crowd_boxes_are_not_usable_and_ignored_pixels_not_outside():
    ignored = np.zeros((20, 30), bool)
    ignored[:5] = True
    made = boxed([(2, 10, 10, 15), (0, 0, 30, 5)], [1, 1], crowd=[False, True], ignored=ignored)
    assert made.usable.tolist() == [True, False]
    assert made.background_mask.sum() == 600 - 40 - 150


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"boxes": [(1, 2, 3)]}, "boxes"),
        ({"boxes": [(1, 2, 3, "x")]}, "boxes"),
        ({"boxes": [(10, 3, 2, 8)]}, "box 0"),
        ({"boxes": [(2, 3, 2, 8)]}, "box 0"),
        ({"boxes": [(2, 3, float("nan"), 8)]}, "box 0"),
        ({"boxes": [(2, 3, float("inf"), 8)]}, "box 0"),
        ({"class_ids": (1, 1)}, "class ids"),
        ({"class_ids": (0,)}, "class 0"),
        ({"class_ids": (3,)}, "class 3"),
        ({"class_ids": ("cat",)}, "boxes"),
        ({"crowd": [True, False]}, "crowd"),
        ({"ignored": np.zeros((2, 2), bool)}, "ignored"),
    ],
)
def test_bad_arguments_are_named_in_one_line(arguments, named):
    with pytest.raises(DataError, match=named) as caught:
        boxed(**arguments)
    assert "\n" not in str(caught.value)
