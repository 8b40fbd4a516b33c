import numpy as np
import pytest

from bana.refine.occlusion import BoxedObject, Cutout, cut_out, occluded
from bana.refine.targets import SURE, BoxTarget

RED, GREEN, GRAY = (200, 0, 0), (0, 200, 0), (90, 90, 90)


@pytest.fixture
def square():
    """A red square of 40 pixels on gray, of whose label nothing is sure."""
    image = np.full((60, 80, 3), GRAY, np.uint8)
    image[10:50, 20:60] = RED
    target = np.zeros((60, 80), np.uint8)
    target[10:50, 20:60] = 255
    box = np.array([20, 10, 60, 50], np.float32)
    return BoxedObject(image, BoxTarget(target, np.zeros_like(target)), box)


@pytest.fixture
def green():
    return Cutout(np.full((10, 20, 3), GREEN, np.uint8), np.ones((10, 20), bool))


def is_green(boxed):
    return (boxed.image == GREEN).all(-1)


def test_a_cutout_is_the_tight_part_of_the_image(square):
    cutout = cut_out(square.image, square.target.target > 0)
    assert cutout.mask.shape == (40, 40)
    assert cutout.mask.all()
    assert (cutout.picture == RED).all()


def test_what_is_pasted_is_seen_and_surely_not_the_object(square, green):
    found = occluded(square, green, 20, (30, 40))
    pasted = np.zeros((60, 80), bool)
    pasted[25:35, 30:50] = True
    assert (is_green(found) == pasted).all()
    assert (found.image[~pasted] == square.image[~pasted]).all()
    assert (found.target.target == np.where(pasted, 0, square.target.target)).all()
    assert (found.target.weight == np.where(pasted, SURE, 0)).all()
    assert (found.box == square.box).all()


def test_only_the_object_of_a_cutout_is_pasted(square):
    mask = np.zeros((20, 20), bool)
    mask[:10] = mask[:, :10] = True
    found = occluded(square, Cutout(np.full((20, 20, 3), GREEN, np.uint8), mask), 20, (30, 40))
    assert (found.image[31:40, 41:50] == RED).all()
    assert is_green(found)[20:29, 30:50].all()


def test_a_cutout_is_scaled_by_its_longer_side(square, green):
    assert is_green(occluded(square, green, 32, (30, 40))).sum() == 32 * 16


def test_a_box_shrinks_to_what_is_still_seen(square, green):
    found = occluded(square, Cutout(green.picture[:8, :4], green.mask[:8, :4]), 80, (30, 20))  # columns 0 to 40
    assert found.box.tolist() == [40, 10, 60, 50]
    assert found.target.target[:, :40].max() == 0


def test_a_box_that_the_object_does_not_fill_moves_as_much_as_the_object(square, green):
    wide = square._replace(box=np.array([15, 5, 65, 55], np.float32))
    found = occluded(wide, Cutout(green.picture[:8, :4], green.mask[:8, :4]), 80, (30, 20))
    assert found.box.tolist() == [35, 5, 65, 55]


@pytest.mark.parametrize(
    ("side", "center", "why"),
    [(78, (30, 40), "next to nothing would be seen"), (40, (30, 40), "rows in between")],
)
def test_an_object_stays_as_it_is_where_people_would_draw_another_box(square, green, side, center, why):
    assert occluded(square, green, side, center) is square, why


def test_a_cutout_beyond_the_image_changes_nothing(square, green):
    found = occluded(square, green, 10, (-40, 40))
    assert (found.image == square.image).all()
    assert (found.target.target == square.target.target).all()
    assert (found.target.weight == square.target.weight).all()


def test_the_given_image_and_labels_are_not_changed(square, green):
    before = square.image.copy(), square.target.target.copy(), square.target.weight.copy()
    occluded(square, green, 20, (30, 40))
    for old, new in zip(before, (square.image, *square.target), strict=True):
        assert (old == new).all()


def test_a_cutout_at_the_edge_of_the_image_is_cut(square, green):
    found = occluded(square, green, 40, (58, 40))
    assert is_green(found).sum() == 40 * 12
    assert found.box.tolist() == [20, 10, 60, 48]
