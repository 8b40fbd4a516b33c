import numpy as np
import pytest

from bana.refine.occlusion import Cutout
from bana.refine.synthetic import made_up_object, pasted
from bana.refine.targets import SURE

GRAY, GREEN = (90, 90, 90), (0, 200, 0)


@pytest.fixture
def image():
    return np.full((60, 80, 3), GRAY, np.uint8)


@pytest.fixture
def corner():
    """A green corner of 20 x 20 pixels: its upper and its left half."""
    mask = np.zeros((20, 20), bool)
    mask[:10] = mask[:, :10] = True
    return Cutout(np.full((20, 20, 3), GREEN, np.uint8), mask)


@pytest.fixture
def photograph():
    """Red and blue grow from left to right and from top to bottom; nothing is green."""
    rows, columns = np.mgrid[:90, :120]
    return np.stack([columns * 2, np.zeros_like(rows), rows * 2], -1).astype(np.uint8)


def made(seed, side=40, photograph=None):
    blank = np.zeros((50, 50, 3), np.uint8)
    return made_up_object(np.random.default_rng(seed), side, blank if photograph is None else photograph)


def test_what_is_pasted_is_the_object_and_all_of_it_is_known(image, corner):
    found = pasted(image, corner, 20, (30, 40))
    green = (found.image == GREEN).all(-1)
    assert (found.target.target[green] == 255).all()
    assert (found.target.weight == SURE).all()
    assert green.sum() >= 290
    assert found.target.target[31:40, 41:50].max() == 0
    assert (found.target.target > 0).sum() == pytest.approx(300, abs=20)
    assert found.box.tolist() == [30, 20, 50, 40]
    assert (image == GRAY).all()


def test_the_box_is_tight_around_what_is_inside_the_image(image, corner):
    found = pasted(image, corner, 40, (10, 70))
    rows, columns = (np.flatnonzero((found.target.target > 0).any(axis)) for axis in (1, 0))
    assert found.box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] == [50, 0, 80, 30]


@pytest.mark.parametrize(("side", "center"), [(15, (30, 40)), (40, (30, -18)), (40, (90, 40))])
def test_an_object_of_which_too_little_is_seen_is_not_pasted(image, corner, side, center):
    assert pasted(image, corner, side, center) is None


def test_made_up_objects_differ_and_depend_on_the_generator_alone(photograph):
    first, again, other = (made(seed, photograph=photograph) for seed in (3, 3, 4))
    assert np.array_equal(first.mask, again.mask)
    assert np.array_equal(first.picture, again.picture)
    assert first.mask.shape != other.mask.shape or not np.array_equal(first.mask, other.mask)


@pytest.mark.parametrize("side", [8, 24, 200])
def test_made_up_objects_are_tight_and_of_many_shapes(side):
    filling, cut = [], 0
    for seed in range(60):
        cutout = made(seed, side)
        assert cutout.picture.shape == (*cutout.mask.shape, 3)
        assert max(cutout.mask.shape) <= side
        assert all(edge.any() for edge in (cutout.mask[0], cutout.mask[-1], cutout.mask[:, 0], cutout.mask[:, -1]))
        filling.append(cutout.mask.mean())
        cut += min(cutout.mask.shape) < 0.9 * side
    assert min(filling) < 0.55
    assert max(filling) > 0.75
    assert 10 < cut < 55


def test_made_up_objects_show_parts_of_the_photograph_or_one_color(photograph):
    kinds = [(made(seed, 60, photograph).picture[..., 1] == 0).all() for seed in range(60)]
    assert 25 < sum(kinds) < 58  # seven in ten have nothing green


def test_a_photograph_may_be_smaller_than_the_object():
    tiny = np.full((3, 5, 3), 77, np.uint8)
    assert any((made(seed, 60, tiny).picture == 77).all() for seed in range(8))
