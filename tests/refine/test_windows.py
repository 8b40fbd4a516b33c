import numpy as np
import pytest
import torch
from PIL import Image

from bana.data.records import pixel_slices
from bana.refine.windows import cut_window, paste_map, windows_of
from reference import refine_loops

FILL = 127


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height, width):
    """A picture that changes little from pixel to pixel, and is the same nowhere."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return (127 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 11)).astype(np.uint8)


def test_windows_have_the_centers_of_their_boxes():
    boxes = [(10, 20, 30, 26), (0.5, 0.5, 1.5, 1.5)]
    np.testing.assert_allclose(windows_of(boxes, 1.5), [(5, 18.5, 35, 27.5), (0.25, 0.25, 1.75, 1.75)])
    np.testing.assert_array_equal(windows_of(boxes, 1.0), boxes)
    assert windows_of(np.zeros((0, 4), np.float32), 1.5).shape == (0, 4)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_window_of_the_image_s_size_is_the_image(channels):
    image = np.random.default_rng(0).integers(0, 256, (33, 33, *channels), dtype=np.uint8)
    np.testing.assert_array_equal(cut_window(image, (0, 0, 33, 33), 33, FILL), image)


def test_a_window_of_whole_pixels_is_that_part_of_the_image():
    image = noise(60, 80)
    np.testing.assert_array_equal(cut_window(image, (20, 10, 53, 43), 33, FILL), image[10:43, 20:53])


@pytest.mark.parametrize("window", [(300, 200, 1500, 1100), (-400, -300, 1400, 900), (50.3, 80.9, 1999.5, 1499.2)])
def test_a_very_large_window_is_what_it_is_of_a_reduced_image(window):
    """Of images much finer than the window, blocks are averaged first, which a smooth picture does not show."""
    fine = smooth(1500, 2000)
    pixels = np.pad(fine, 500, constant_values=FILL)
    x0, y0, x1, y1 = (edge + 500 for edge in window)
    expected = Image.fromarray(pixels).resize((33, 33), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1))
    found = cut_window(fine, window, 33, FILL).astype(int)
    assert np.abs(found - np.asarray(expected)).mean() < 1
    assert np.abs(found - np.asarray(expected)).max() < 12


def test_what_lies_beyond_the_edges_is_filled():
    image = np.full((20, 30, 3), 200, np.uint8)
    found = cut_window(image, (-10, -5, 30, 35), 40, FILL)
    expected = np.full((40, 40, 3), FILL, np.uint8)
    expected[5:25, 10:40] = 200
    np.testing.assert_array_equal(found, expected)
    beyond = cut_window(image[..., 0], (15, 10, 45, 40), 30, 0)
    np.testing.assert_array_equal(beyond[:10, :15], 200)
    assert beyond[10:].max() == beyond[:, 15:].max() == 0


def test_a_large_window_counts_all_pixels():
    board = np.zeros((256, 256), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    small = cut_window(board, (0, 0, 256, 256), 32, FILL)
    assert np.abs(small.astype(int) - 127).max() <= 2
    stripe = np.zeros((330, 330), np.uint8)
    stripe[:, 100] = 255  # a tenth of a pixel of the window
    assert cut_window(stripe, (0, 0, 330, 330), 33, FILL).max() > 10


def test_the_window_of_a_shifted_image_is_the_same():
    image = noise(40, 50)
    shifted = np.zeros((60, 90, 3), np.uint8)
    shifted[13:53, 29:79] = image
    window = np.array([10.3, 8.6, 31.7, 30.2])
    first = cut_window(image, window, 65, FILL)
    second = cut_window(shifted, window + np.array([29, 13, 29, 13]), 65, FILL)
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 1


def test_fractional_windows_are_resampled():
    """A ramp's values tell where each pixel of the window lies."""
    ramp = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    x0, x1, side = 20.3, 77.6, 65
    found = cut_window(ramp, (x0, 10.7, x1, 60.1), side, FILL).astype(float)
    centers = x0 + (np.arange(side) + 0.5) * (x1 - x0) / side
    np.testing.assert_allclose(found, np.tile(centers - 0.5, (side, 1)), atol=0.51)
    down = cut_window(ramp.T, (10.7, x0, 60.1, x1), side, FILL).astype(float)
    np.testing.assert_array_equal(down, found.T)


@pytest.mark.parametrize("box", [(7, 5, 8, 6), (7.1, 5.2, 7.4, 5.4), (0, 0, 1, 1), (19.5, 9.5, 20, 10)])
def test_the_window_of_a_box_of_a_pixel(box):
    image = np.zeros((10, 20, 3), np.uint8)
    rows, columns = pixel_slices(box)
    image[rows, columns] = 250
    (window,) = windows_of([box], 1.0)
    picture = cut_window(image, window, 33, FILL)
    np.testing.assert_array_equal(picture, np.full((33, 33, 3), 250))
    (wider,) = windows_of([box], 1.5)
    assert cut_window(image, wider, 33, FILL)[16, 16, 0] > 180
    found = paste_map(torch.full((17, 17), 0.75), wider, 33, (rows, columns))
    np.testing.assert_allclose(found, [[0.75]])


def test_the_window_of_a_box_that_is_next_to_nothing():
    picture = cut_window(noise(10, 20), (5.9995, 3, 5.9996, 6), 33, FILL)
    assert picture.shape == (33, 33, 3)


@pytest.mark.parametrize(
    "window",
    [
        (0, 0, 33, 33),
        (-4.5, 2.25, 40.5, 30.75),
        (10.3, 8.6, 14.9, 13.2),
        (3.2, 4.4, 60.9, 17.3),
        (-100, -80, 150, 110),
    ],
)
@pytest.mark.parametrize("cells", [9, 17])
def test_pasted_maps_are_those_of_the_loops(window, cells):
    values = torch.rand(cells, cells, generator=torch.Generator().manual_seed(cells))
    x0, y0, x1, y1 = window
    place = pixel_slices(np.clip((x0 + 1.2, y0 + 0.8, x1 - 1.1, y1 - 0.9), 0, [45, 38, 45, 38]))
    found = paste_map(values, window, 33, place)
    assert found.dtype == np.float32
    assert found.shape == (place[0].stop - place[0].start, place[1].stop - place[1].start)
    np.testing.assert_allclose(found, refine_loops.paste_map(values.tolist(), window, 33, place), atol=2e-5)


@pytest.mark.parametrize(
    ("window", "side"), [((20, 10, 85, 75), 65), ((13.4, 8.2, 77.9, 51.6), 65), ((30.3, 20.2, 50.7, 44.1), 33)]
)
def test_pasting_undoes_cutting(window, side):
    image = smooth(90, 110)
    picture = cut_window(image, window, side, FILL)
    x0, y0, x1, y1 = window
    place = pixel_slices((x0 + 2, y0 + 2, x1 - 2, y1 - 2))
    pasted = paste_map(torch.from_numpy(picture.copy()).float(), window, side, place)
    np.testing.assert_allclose(pasted, image[place], atol=3)


def test_cells_of_a_map_sit_on_the_window_s_pixels():
    """Every second pixel of a window makes a map; where it is pasted, nothing moves."""
    image = smooth(90, 110)
    window, side = (13.4, 8.2, 77.9, 51.6), 65
    picture = torch.from_numpy(cut_window(image, window, side, FILL).copy()).float()
    place = pixel_slices((17, 12, 74, 47))
    pasted = paste_map(picture[::2, ::2], window, side, place)
    np.testing.assert_allclose(pasted, image[place], atol=3)
    assert abs(float((pasted - image[place]).mean())) < 0.6
