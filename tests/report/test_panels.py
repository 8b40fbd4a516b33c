"""Boxes, masks and unreliable pixels are drawn where they are, and nowhere else."""

import numpy as np
import pytest

from bana.data.colors import ALARM, INK
from bana.report.panels import backdrop, boxes_panel, confidence_panel, masks_panel, unreliable_panel

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(60, 200, (80, 120, 3), dtype=np.uint8)


def is_color(picture, color):
    return (picture == color).all(-1)


def test_lines_run_on_the_outermost_pixels_of_the_box(image):
    panel = boxes_panel(image, np.array([[20, 10, 90, 70]], np.float32), [""], [RED])
    expected = np.zeros(image.shape[:2], dtype=bool)
    expected[10:70, 20:90] = True
    expected[12:68, 22:88] = False
    assert (is_color(panel, RED) == expected).all()
    assert (panel[12:68, 22:88] == image[12:68, 22:88]).all()
    assert (panel[:9] == image[:9]).all()


def test_a_box_of_the_whole_image_is_drawn_inside_it(image):
    panel = boxes_panel(image, np.array([[0, 0, 120, 80]], np.float32), [""], [RED])
    assert is_color(panel, RED)[[0, -1]].all()
    assert is_color(panel, RED)[:, [0, -1]].all()


def test_smaller_boxes_are_in_front_whatever_their_order(image):
    boxes = np.array([[30, 20, 60, 50], [10, 20, 110, 70]], np.float32)
    for order in ([0, 1], [1, 0]):
        colors = [(RED, BLUE)[index] for index in order]
        panel = boxes_panel(image, boxes[order], ["", ""], colors)
        assert is_color(panel, RED)[20, 30:60].all()


def test_a_name_is_written_on_its_box_in_its_color(image):
    box = np.array([[20, 30, 100, 75]], np.float32)
    bare, named = (boxes_panel(image, box, [name], [RED]) for name in ("", "cat"))
    rows, columns = np.nonzero((bare != named).any(-1))
    assert rows.min() == 30 - 18 + 1  # the tag is 18 pixels high and ends on the box's upper line
    assert rows.max() <= 31
    assert columns.min() == 20
    assert is_color(named, INK)[13:31, 20:60].sum() > 10


def test_names_cover_at_most_a_tenth_and_large_boxes_have_theirs():
    image = np.full((400, 400, 3), 90, np.uint8)
    corners = [(45 * column, 25 + 50 * row) for row in range(7) for column in range(8)]
    boxes = np.array([(x, y, x + 40, y + 20) for x, y in corners] + [(60, 375, 300, 399)], np.float32)
    bare, named = (boxes_panel(image, boxes, [name] * len(boxes), [RED] * len(boxes)) for name in ("", "cat"))
    changed = (bare != named).any(-1)
    assert 0.05 < changed.mean() <= 0.1
    assert changed[355:375, 60:80].any()


@pytest.mark.parametrize(
    "name", ["", "  \n\t", "\x00\x1b[31m", "名前", "naïve été", "<b>&amp;</b>", "[red]x[/red]", "x" * 5000]
)
def test_odd_names_do_no_harm(image, name):
    panel = boxes_panel(image, np.array([[20, 30, 100, 75]], np.float32), [name], [RED])
    assert panel.shape == image.shape
    assert is_color(panel, RED)[74, 20:100].all()


def test_a_name_without_room_is_left_out(image):
    for box in ([50, 40, 54, 44], [0, 0, 120, 80]):
        boxes = np.array([box], np.float32)
        assert (boxes_panel(image, boxes, ["x" * 40], [RED]) == boxes_panel(image, boxes, [""], [RED])).all()


def test_names_do_not_cover_each_other(image):
    boxes = np.array([[10, 30, 60, 70]] * 4, np.float32)
    panel = boxes_panel(image, boxes, ["cat"] * 4, [RED] * 4)
    tags = boxes_panel(image, boxes[:3], ["cat"] * 3, [RED] * 3)
    assert (panel == tags).all()  # over, in and under the upper line: there is no fourth place


def test_without_boxes_the_photograph_is_unchanged(image):
    assert (boxes_panel(image, np.zeros((0, 4), np.float32), [], []) == image).all()


def test_masks_are_colored_exactly_where_they_are(image):
    labels = np.zeros((80, 120), np.uint8)
    labels[10:40, 10:50] = 3
    labels[50:70, 60:110] = 7
    labels[0:5] = 255
    panel = masks_panel(image, labels, {3: RED, 7: BLUE})
    changed = (panel != backdrop(image)).any(-1)
    assert (changed == np.isin(labels, [3, 7])).all()
    red, green, blue = panel.astype(int).transpose(2, 0, 1)
    assert (red > blue)[labels == 3].all()
    assert (blue > red)[labels == 7].all()
    assert (red == green)[labels == 0].all()


def test_the_rim_is_inside_the_mask_and_as_wide_as_asked(image):
    labels = np.zeros((80, 120), np.uint8)
    labels[20:60, 30:120] = 1  # reaches the image's border, where it has no rim
    for scale in (1, 3):
        rim = is_color(masks_panel(image, labels, {1: RED}, scale), (255, 153, 153))
        expected = labels == 1
        expected[20 + scale : 60 - scale, 30 + scale :] = False
        assert (rim == expected).all()


def test_sixteen_bit_ids_are_colored(image):
    labels = np.zeros((80, 120), np.uint16)
    labels[20:30, 30:40] = 300
    panel = masks_panel(image, labels, {300: RED})
    assert ((panel != backdrop(image)).any(-1) == (labels == 300)).all()


def test_unreliable_pixels_are_hatched_exactly_where_they_are(image):
    unreliable = np.zeros((80, 120), dtype=bool)
    unreliable[20:50, 30:80] = True
    labeled = np.zeros_like(unreliable)
    labeled[10:60, 10:90] = True
    panel = unreliable_panel(image, labeled, unreliable)
    hatched = panel[unreliable].astype(int)
    assert len(np.unique(hatched, axis=0)) == 2
    assert 0.5 < is_color(panel, ALARM)[unreliable].mean() < 0.8
    rest = panel.astype(int)[~unreliable]
    assert (rest.max(-1) - rest.min(-1)).max() <= 7  # gray, as INK is
    plain = unreliable_panel(image, labeled, np.zeros_like(unreliable))
    assert (panel[~unreliable] == plain[~unreliable]).all()
    assert plain[labeled].mean() > plain[~labeled].mean() + 30


def test_unreliable_pixels_of_masks_are_striped_and_rims_stay(image):
    labels = np.zeros((80, 120), np.uint8)
    labels[20:60, 30:90] = 1
    unreliable = np.zeros((80, 120), dtype=bool)
    unreliable[10:50, 60:110] = True
    plain, striped = (masks_panel(image, labels, {1: RED}, 1, where) for where in (None, unreliable))
    changed = (plain != striped).any(-1)
    rim = is_color(plain, (255, 153, 153))
    assert not changed[~unreliable | rim].any()
    assert 0.25 < changed[unreliable & ~rim].mean() < 0.4
    assert striped[changed].mean() < plain[changed].mean() - 30


def test_confidence_goes_from_dark_to_bright():
    sigma = np.linspace(0, 1, 256, dtype=np.float32)[None]
    panel = confidence_panel(sigma)
    assert panel.shape == (1, 256, 3)
    assert panel.dtype == np.uint8
    light = np.array([luminance(color) for color in panel[0]])
    assert light[0] < 0.01
    assert light[-1] > 0.9
    assert (np.diff(light) > -1e-3).all()
    outside = np.array([[-1.0, 2.0]], np.float32)
    assert (confidence_panel(outside)[0] == panel[0, [0, -1]]).all()


def luminance(color):
    channels = np.array(color) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)
