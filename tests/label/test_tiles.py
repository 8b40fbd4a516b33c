"""Where a large image is cut: every box in one tile, and none cut that fits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bana.errors import SettingsError
from bana.label.tiles import AUTO_PIXELS, AUTO_SIDE, MARGIN, Tiling, plan_tiles

SIDES = st.sampled_from([128, 200, 300])


@st.composite
def images(draw):
    """A size and boxes inside it, some of no use."""
    height, width = draw(st.integers(1, 1500)), draw(st.integers(1, 1500))
    seed, count = draw(st.integers(0, 2**16)), draw(st.integers(0, 30))
    chance = np.random.default_rng(seed)
    sides = chance.choice([3, 60, 150, 900], (count, 1)) * chance.uniform(0.3, 1, (count, 2))
    centers = chance.uniform(0, 1, (count, 2)) * [width, height]
    boxes = np.clip(np.concatenate([centers - sides / 2, centers + sides / 2], 1), 0, [width, height] * 2)
    return (height, width), boxes.astype(np.float32), chance.random(count) > 0.1


@settings(deadline=None)
@given(images(), SIDES)
def test_every_usable_box_belongs_to_one_tile(image, side):
    size, boxes, usable = image
    numbers = [number for tile in plan_tiles(size, boxes, usable, side) for number in tile.numbers]
    assert sorted(numbers) == np.flatnonzero(usable).tolist()


@settings(deadline=None)
@given(images(), SIDES)
def test_no_tile_cuts_its_boxes_and_those_that_fit_have_their_margin(image, side):
    size, boxes, usable = image
    for tile in plan_tiles(size, boxes, usable, side):
        rows, columns = tile.place
        assert 0 <= rows.start < rows.stop <= size[0]
        assert 0 <= columns.start < columns.stop <= size[1]
        for number in tile.numbers:
            x0, y0, x1, y1 = boxes[number]
            fits = max(x1 - x0, y1 - y0) + 2 * MARGIN <= side
            margin = MARGIN if fits else 0
            assert columns.start <= max(x0 - margin, 0)
            assert rows.start <= max(y0 - margin, 0)
            assert columns.stop >= min(x1 + margin, size[1])
            assert rows.stop >= min(y1 + margin, size[0])
            assert tile.block == 1 or not fits


@settings(deadline=None)
@given(images(), SIDES)
def test_what_is_labeled_together_is_bounded(image, side):
    size, boxes, usable = image
    for tile in plan_tiles(size, boxes, usable, side):
        height, width = (len(range(part.start, part.stop, tile.block)) for part in tile.place)
        assert height * width <= 4 * side**2 + height + width


@settings(deadline=None)
@given(images(), SIDES, st.integers(0, 2**16))
def test_the_order_of_boxes_does_not_matter_on_the_grid(image, side, seed):
    size, boxes, _ = image
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).max(1) < side / 4 - 2 * MARGIN]
    order = np.random.default_rng(seed).permutation(len(boxes))
    usable = np.ones(len(boxes), bool)
    tiles = plan_tiles(size, boxes, usable, side)
    mixed = plan_tiles(size, boxes[order], usable, side)
    found = {(str(tile.place), tuple(sorted(int(order[number]) for number in tile.numbers))) for tile in mixed}
    assert {(str(tile.place), tile.numbers) for tile in tiles} == found


def test_boxes_that_overlap_a_tiles_own_are_not_cut():
    """The second box belongs to the next tile."""
    boxes = np.array([[150, 100, 195, 140], [170, 110, 330, 150]], np.float32)
    tiles = plan_tiles((900, 900), boxes, np.ones(2, bool), 300)
    first = next(tile for tile in tiles if 0 in tile.numbers)
    assert first.numbers == (0,)
    assert first.place[1].stop >= 330 + MARGIN


def test_a_box_larger_than_a_tile_gets_a_window_of_its_own_with_surroundings():
    boxes = np.array([[400, 300, 1900, 1600], [500, 500, 520, 520]], np.float32)
    tiles = plan_tiles((3000, 3000), boxes, np.ones(2, bool), 300)
    large = next(tile for tile in tiles if 0 in tile.numbers)
    assert large.numbers == (0,)
    assert large.block == 3
    assert large.place == (slice(138, 1763), slice(212, 2087))


def test_an_image_without_usable_boxes_has_no_tiles():
    assert plan_tiles((900, 900), np.zeros((0, 4), np.float32), np.zeros(0, bool), 300) == []
    assert plan_tiles((900, 900), np.array([[0, 0, 9, 9]], np.float32), np.zeros(1, bool), 300) == []


def test_photographs_are_not_cut_and_large_images_are():
    tiling = Tiling.parse("auto")
    assert tiling == Tiling()
    assert tiling.side_for(6000, 4000) is None
    assert tiling.side_for(AUTO_PIXELS, 1) is None
    assert tiling.side_for(AUTO_PIXELS, 2) == tiling.side_for(10_000, 10_000) == AUTO_SIDE
    assert Tiling.parse("none").side_for(10_000, 10_000) is None
    assert Tiling.parse("512").side_for(512, 512) is None
    assert Tiling.parse("512").side_for(513, 512) == Tiling.parse(512).side_for(513, 512) == 512


@pytest.mark.parametrize("text", ["large", "", "255", "4097", "-512", "51.2", "²"])
def test_what_is_no_side_is_refused(text):
    with pytest.raises(SettingsError, match=r"^tile: .* is not known; give auto, none or 256 to 4096 pixels$"):
        Tiling.parse(text)
