import numpy as np
import pytest

from bana.refine.targets import CONTESTED, SURE, box_target, tight_box
from reference import refine_loops
from shapes_data import CLASSES, IMAGES, inside_of, true_mask

IGNORED = 255
SIZE = (12, 16)
BOX = (3, 2, 11, 9)


def case(object_pixels=np.s_[3:8, 4:10]):
    """A mask of class 1 in BOX, and labels that agree on it."""
    mask = np.zeros(SIZE, bool)
    mask[object_pixels] = True
    return mask, mask.astype(np.uint8)


def test_all_is_known_where_labels_agree():
    mask, agreed = case()
    target, weight = box_target(mask, agreed, BOX, 1, IGNORED)
    np.testing.assert_array_equal(target, np.where(mask, 255, 0))
    np.testing.assert_array_equal(weight, np.full(SIZE, SURE))
    assert target.dtype == weight.dtype == np.uint8


def test_pixels_in_the_box_are_unknown_where_labels_do_not_agree():
    mask, agreed = case()
    agreed[:, 9:] = IGNORED
    _, weight = box_target(mask, agreed, BOX, 1, IGNORED)
    assert (weight[2:9, 9:11] == 0).all()
    assert (weight == SURE).sum() == weight.size - 7 * 2


def test_nothing_outside_the_box_is_unknown():
    mask, agreed = case()
    agreed[:] = IGNORED
    _, weight = box_target(mask, agreed, BOX, 1, IGNORED)
    inside = np.zeros(SIZE, bool)
    inside[2:9, 3:11] = True
    np.testing.assert_array_equal(weight, np.where(inside, 0, SURE))


def test_another_object_of_the_class_is_half_sure():
    mask, agreed = case()
    agreed[2:4, 3:6] = 1  # of these the mask has two
    agreed[8, 3:11] = 2
    _, weight = box_target(mask, agreed, BOX, 1, IGNORED)
    assert (weight == CONTESTED).sum() == 2 * 3 - 2
    assert weight[2, 3] == CONTESTED
    assert (weight[8] == SURE).all()  # another class


@pytest.mark.parametrize("seed", range(6))
def test_targets_are_those_of_the_loops(seed):
    random = np.random.default_rng(seed)
    mask, agreed = random.random(SIZE) < 0.4, random.choice([0, 1, 2, 65535], SIZE).astype(np.uint16)
    corners = np.sort(random.uniform(0, [SIZE[1], SIZE[0]], (2, 2)), axis=0)
    box = np.concatenate([corners[0], corners[1]])
    found = box_target(mask, agreed, box, 1, 65535)
    expected = refine_loops.box_target(mask.tolist(), agreed.tolist(), box, 1, 65535)
    np.testing.assert_array_equal(found.target, expected[0])
    np.testing.assert_array_equal(found.weight, expected[1])


def test_a_box_between_two_pixel_centers_has_one_pixel():
    _, weight = box_target(np.zeros(SIZE, bool), np.full(SIZE, IGNORED), (3.6, 2.6, 3.9, 2.8), 1, IGNORED)
    assert np.argwhere(weight == 0).tolist() == [[2, 3]]


@pytest.mark.parametrize("name", ["b", "d"])
def test_true_labels_are_known_everywhere(name):
    size, shapes = IMAGES[name]
    truth = true_mask(size, shapes)
    for kind, box in shapes:
        class_id = CLASSES.index(kind) + 1
        target, weight = box_target(inside_of(kind, box, size) & (truth == class_id), truth, box, class_id, IGNORED)
        assert (weight == SURE).all()
        np.testing.assert_array_equal(target == 255, truth == class_id)


@pytest.mark.parametrize(
    ("object_pixels", "expected"),
    [
        (np.s_[2:9, 3:11], BOX),
        (np.s_[3:8, 4:11], (4, 3, 11, 8)),  # 35 of 56 pixels: an IoU of 0.63
        (np.s_[3:8, 4:10], BOX),  # 30 of 56: 0.54
        (np.s_[2:9, 3:10], (3, 2, 10, 9)),
        (np.s_[2:9, 3:5], BOX),  # a label that lacks most of the object
    ],
)
def test_the_tight_box_is_that_of_the_mask_unless_the_mask_lacks_a_part(object_pixels, expected):
    mask, _ = case(object_pixels)
    assert tight_box(mask, np.array(BOX, np.float32)).tolist() == list(expected)
