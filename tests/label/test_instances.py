import numpy as np
import pytest
import torch

from bana.data.records import overlapping_groups
from bana.label.boxes import BoxedImage
from bana.label.instances import _MIN_OWN, LIKENESS, NEARNESS, cut_by_boxes, divided_masks
from bana.label.upsampled import UpsampledFeatures
from densecrf import DenseCRF
from reference import overlaps_loops

SIZE = (24, 40)
LEFT, RIGHT = (2, 2, 24, 22), (16, 4, 38, 24)


def test_a_box_is_cut_out_of_the_labels_of_its_own_class():
    """What other classes have in the box is not its object."""
    labels = np.zeros(SIZE, np.uint8)
    labels[4:20, 4:20], labels[6:22, 16:36] = 1, 2
    image = np.zeros((*SIZE, 3), np.uint8)
    boxed = BoxedImage(image, [LEFT, RIGHT, LEFT], [1, 2, 2], None, None, 2)
    parts = cut_by_boxes(boxed, labels)
    for part, box, class_id in zip(parts, (LEFT, RIGHT, LEFT), (1, 2, 2), strict=True):
        x0, y0, x1, y1 = box
        np.testing.assert_array_equal(part, labels[y0:y1, x0:x1] == class_id)
        assert part.any()
        assert not np.array_equal(part, labels[y0:y1, x0:x1] > 0)


class Untouched:
    """A CRF that changes nothing, and remembers what it was given."""

    def __call__(self, image, *, probabilities, fixed):
        self.image, self.probabilities, self.fixed = image, probabilities, fixed
        return probabilities


def region(box):
    mask = np.zeros(SIZE, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@pytest.fixture
def boxed():
    """A red and a green thing that touch at column 20, each in a box that reaches into the other."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, :20] = (220, 40, 40)
    image[:, 20:] = (40, 200, 60)
    features = torch.zeros(2, 7, 11)
    features[0, :, :5], features[1, :, 6:] = 1, 1
    features[:, :, 5] = 0.5
    return np.stack([region(LEFT), region(RIGHT)]), np.array([LEFT, RIGHT], np.float32), features, image


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_those_of_the_loops(seed):
    random = np.random.default_rng(seed)
    corners = np.sort(random.integers(0, 60, (2, 14, 2)), axis=0)
    boxes = np.concatenate([corners[0], corners[1] + 1], axis=1).astype(np.float32)
    class_ids = random.integers(1, 4, len(boxes))
    assert sorted(overlapping_groups(boxes, class_ids)) == overlaps_loops.groups(boxes.tolist(), class_ids.tolist())


def test_boxes_that_touch_do_not_overlap():
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20]], np.float32)
    assert overlapping_groups(boxes, np.array([1, 1, 1])) == []
    assert overlapping_groups(np.zeros((0, 4), np.float32), np.zeros(0, np.int64)) == []


def test_a_chain_of_boxes_is_one_group():
    boxes = np.array([[x, 0, x + 12, 10] for x in (0, 30, 10, 20)], np.float32)
    assert overlapping_groups(boxes, np.ones(4, np.int64)) == [[0, 1, 2, 3]]


def test_what_the_crf_starts_from_is_that_of_the_loops(boxed):
    own, boxes, features, image = boxed
    own[0, 6:9] = False  # a part that is not of the class
    crf = Untouched()
    divided_masks(own, boxes, UpsampledFeatures(features, SIZE), image, crf)
    expected = overlaps_loops.shares(own, boxes.tolist(), features, LIKENESS, NEARNESS, _MIN_OWN)
    place = (slice(2, 24), slice(2, 38))
    torch.testing.assert_close(crf.probabilities[1:], expected[(slice(None), *place)], atol=1e-5, rtol=0)
    np.testing.assert_array_equal(crf.probabilities[0], (~own.any(0))[place])
    np.testing.assert_array_equal(crf.fixed, ~(own.sum(0) > 1)[place])
    np.testing.assert_array_equal(crf.image, image[place])


def test_each_thing_gets_its_pixels(boxed):
    own, boxes, features, image = boxed
    left, right = divided_masks(own, boxes, UpsampledFeatures(features, SIZE), image, DenseCRF(threads=1))
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, own.any(0))
    red = np.arange(SIZE[1]) < 20
    assert (left == own[0] & red)[:, :].mean() > 0.97
    assert not (left & ~own[0]).any()
    assert not (right & ~own[1]).any()


def test_a_box_inside_another_keeps_what_it_has(boxed):
    """It has nothing for itself; its whole mask stands for it."""
    _, _, features, image = boxed
    boxes = np.array([(0, 0, 40, 24), (24, 8, 34, 18)], np.float32)
    own = np.stack([region(box) for box in boxes.astype(int)])
    outer, inner = divided_masks(own, boxes, UpsampledFeatures(features, SIZE), image, DenseCRF(threads=1))
    assert inner.sum() > 0.5 * own[1].sum()
    assert not (outer & inner).any()


def test_masks_that_do_not_meet_stay(boxed):
    own, boxes, features, image = boxed
    own[0, :, 14:], own[1, :, :22] = False, False
    np.testing.assert_array_equal(divided_masks(own, boxes, UpsampledFeatures(features, SIZE), image, Untouched()), own)


def test_no_pixel_of_the_class_at_all(boxed):
    own, boxes, features, image = boxed
    nothing = np.zeros_like(own)
    assert not divided_masks(nothing, boxes, UpsampledFeatures(features, SIZE), image, Untouched()).any()
