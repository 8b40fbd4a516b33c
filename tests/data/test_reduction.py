"""Means of blocks of pixels."""

import numpy as np
import pytest

from bana.data import reduction
from bana.data.reduction import block_means


def slow_means(image, factors):
    """Block by block."""
    down, across = factors
    rows = [image[first : first + down] for first in range(0, image.shape[0], down)]
    return np.array(
        [
            [
                row[:, first : first + across].reshape(-1, *image.shape[2:]).mean(0)
                for first in range(0, row.shape[1], across)
            ]
            for row in rows
        ]
    )


@pytest.mark.parametrize("shape", [(24, 36, 3), (23, 37, 3), (25, 31), (2, 2, 3)])
@pytest.mark.parametrize("factors", [(2, 3), (5, 1), (1, 4), (7, 7)])
def test_each_pixel_is_the_mean_of_its_block(shape, factors):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = block_means(image, factors)
    assert found.dtype == np.uint8
    expected = slow_means(image, factors)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1  # Pillow does not round all of them to the nearest


def test_blocks_of_one_pixel_are_the_image():
    image = np.zeros((5, 6, 3), np.uint8)
    assert block_means(image, (1, 1)) is image


@pytest.mark.parametrize("strip", [1, 100, 500])
def test_strips_give_what_the_whole_gives(strip, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (47, 33, 3), dtype=np.uint8)
    whole = block_means(image, (3, 2))
    monkeypatch.setattr(reduction, "_STRIP", strip)
    np.testing.assert_array_equal(block_means(image, (3, 2)), whole)
