"""Colors lie where the labels are, the photograph everywhere else, and names where they can be read."""

import pickle
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bana.data.colors import PALETTE
from bana.data.records import ClassTable
from bana.report import overlay
from bana.report.overlay import overlay_jpeg

CLASSES = ClassTable(("cat", "dog", "potted plant"))
MANY = ClassTable(tuple(f"class {number}" for number in range(1, 401)))


def photograph(width=500, height=375, color=(90, 120, 60)):
    return np.full((height, width, 3), color, np.uint8)


def labels_of(*regions, width=500, height=375, dtype=np.uint8):
    labels = np.zeros((height, width), dtype)
    for class_id, top, bottom, left, right in regions:
        labels[top:bottom, left:right] = class_id
    return labels


def pixels(image, labels, classes=CLASSES):
    with Image.open(BytesIO(overlay_jpeg(image, labels, classes))) as picture:
        assert picture.format == "JPEG"
        assert picture.mode == "RGB"
        return np.asarray(picture).astype(int)


def plate(picture, image):
    """The part of the picture that differs from the photograph: height and width in pixels, or None."""
    rows, columns = np.nonzero((abs(picture - image) > 25).any(-1))
    return (np.ptp(rows) + 1, np.ptp(columns) + 1) if len(rows) else None


def blended(image, class_id):
    return 0.4 * image[0, 0] + 0.6 * np.array(PALETTE[(class_id - 1) % 12])


def test_background_and_ignored_pixels_show_the_photograph():
    image = photograph()
    picture = pixels(image, labels_of((2, 40, 140, 300, 450), (255, 200, 300, 300, 450)))
    assert abs(picture[:, 250:290] - image[:, 250:290]).max() <= 3
    assert abs(picture[210:290, 310:440] - image[210:290, 310:440]).max() <= 3
    assert abs(picture[60:120, 320:430] - blended(image, 2)).max() <= 4


@pytest.mark.parametrize("class_id", [1, 12, 13, 255, 300])
def test_the_color_of_a_class_follows_from_its_id(class_id):
    image = photograph()
    picture = pixels(image, labels_of((class_id, 40, 140, 300, 450), dtype=np.uint16), MANY)
    assert abs(picture[60:120, 320:430] - blended(image, class_id)).max() <= 4


def test_the_photograph_stays_recognizable():
    image = np.random.default_rng(0).integers(0, 256, (38, 50, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(image).resize((500, 375), Image.Resampling.NEAREST))
    picture = pixels(image, labels_of((1, 0, 375, 200, 500)))
    for channel in range(3):
        inside = np.s_[:200, 250:, channel]
        assert np.corrcoef(picture[inside].ravel(), image[inside].ravel())[0, 1] > 0.95


def test_borders_of_regions_have_rims_and_the_border_of_the_picture_has_none():
    image = photograph()
    picture = pixels(image, labels_of((1, 0, 140, 300, 400), (2, 0, 140, 400, 500)))
    brighter = picture.sum(-1) - np.where(np.arange(500) < 400, blended(image, 1).sum(), blended(image, 2).sum())
    assert (brighter[20:120, [300, 301, 398, 399, 400, 401]] > 60).all()
    assert (brighter[[138, 139], 310:390] > 60).all()
    assert abs(brighter[:120, 310:390]).max() < 12
    assert abs(brighter[:120, 480:]).max() < 12


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (255, 122, 102)])
def test_the_legend_can_be_read_on_any_photograph(color):
    image = photograph(color=color)
    picture = pixels(image, labels_of((2, 10, 60, 400, 450)))
    corner = picture[300:, :150]
    squares = (abs(corner - PALETTE[1]) <= 12).all(-1)
    assert squares.sum() > 60
    rows = np.flatnonzero(squares.any(1))
    line = corner[rows[0] : rows[-1] + 1, 20:80]
    assert (line.min(-1) > 225).sum() > 20  # letters
    assert np.median(line.max(-1)) < 75  # on a dark plate


def test_the_legend_grows_with_the_photograph_and_is_left_out_of_a_small_one():
    sizes = {}
    for factor in (0.2, 1, 2):
        width, height = round(500 * factor), round(375 * factor)
        image = photograph(width, height)
        labels = labels_of((2, 0, 1, width - 2, width), width=width, height=height)
        picture = pixels(image, labels)
        sizes[factor] = plate(picture[height // 2 :], image[height // 2 :])
    assert sizes[0.2] is None
    assert sizes[2] == pytest.approx(2 * np.array(sizes[1]), rel=0.15)


def test_twelve_classes_are_counted_where_they_have_no_room():
    image = photograph()
    few = labels_of(*((number, 2 * number, 2 * number + 2, 400, 440) for number in range(1, 4)))
    many = labels_of(*((number, 2 * number, 2 * number + 2, 400, 440) for number in range(1, 13)))
    heights = [plate(pixels(image, labels, MANY)[100:, :300], image[100:, :300])[0] for labels in (few, many)]
    assert heights[0] < heights[1] < 0.45 * 375


def test_strips_leave_no_seams(monkeypatch):
    generator = np.random.default_rng(1)
    image = generator.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    labels = np.asarray(Image.fromarray(generator.integers(0, 4, (9, 12), dtype=np.uint8)).resize((120, 90), 0))
    whole = overlay_jpeg(image, labels, CLASSES)
    monkeypatch.setattr(overlay, "_STRIP", 7 * 120)
    assert overlay_jpeg(image, labels, CLASSES) == whole


@pytest.mark.parametrize("width", [1, 2, 5, 16])
def test_rims_are_as_wide_as_asked(width):
    labels = labels_of((1, 20, 21, 30, 31), width=64, height=48)
    expected = np.zeros((48, 64), dtype=bool)
    expected[max(0, 20 - width) : 21 + width, max(0, 30 - width) : 31 + width] = True
    found = overlay._borders(labels, width)
    assert not (found & ~expected).any()
    assert (found[20] == expected[20]).all()
    assert (found[:, 30] == expected[:, 30]).all()


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (1, 700), (900, 3), (40, 3000)])
@pytest.mark.parametrize("class_id", [0, 1, 255])
def test_pictures_of_every_shape_keep_their_size(shape, class_id):
    image = photograph(*shape[::-1])
    picture = pixels(image, np.full(shape, class_id, np.uint8))
    assert picture.shape == (*shape, 3)
    if class_id != 1:
        assert abs(picture - image).max() <= 3


@pytest.mark.parametrize("name", ["", "\n", "名前", "x" * 3000, "a\x00b"])
def test_odd_class_names_are_drawn(name):
    assert pixels(photograph(), labels_of((1, 0, 100, 0, 100)), ClassTable((name,))).shape == (375, 500, 3)


def test_ids_without_a_class_show_the_photograph():
    image = photograph()
    assert abs(pixels(image, labels_of((9, 0, 100, 0, 100))) - image).max() <= 3


def test_it_is_the_same_every_time_reaches_workers_and_leaves_its_input_alone():
    image, labels = photograph(), labels_of((1, 0, 100, 0, 100))
    first = overlay_jpeg(image, labels, CLASSES)
    image.flags.writeable = labels.flags.writeable = False
    assert pickle.loads(pickle.dumps(overlay_jpeg))(image, labels, CLASSES) == first
