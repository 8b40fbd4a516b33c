"""The contact sheet: its size, what stands in which column, and pictures of all shapes."""

import numpy as np
import pytest

from bana.errors import SettingsError
from bana.report.frame import SheetRow
from bana.report.pictures import SHEET_WIDTH, contact_sheet

CLASSES = ("cat", "dog", "potted plant")


def sheet_row(width=120, height=80, *, boxes=((20, 10, 90, 70),), class_ids=(2,), unreliable=True):
    labels = np.zeros((height, width), np.uint8)
    labels[height // 4 : height // 2, width // 4 : width // 2] = class_ids[0] if class_ids else 0
    return SheetRow(
        image=np.full((height, width, 3), (90, 120, 60), np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array(class_ids, np.int64),
        labels={"labels": labels},
        unreliable=np.full((height, width), unreliable),
        caption="a · 1 box",
        note="3% of the pixels in boxes",
    )


def pixels(*rows, classes=CLASSES, **words):
    sheet = contact_sheet(rows, classes, **{"title": "Boxes in, masks out", **words})
    assert sheet.mode == "RGB"
    return np.asarray(sheet).astype(int)


def test_width_is_fixed_and_every_row_adds_its_height():
    heights = [len(pixels(*[sheet_row()] * count)) for count in (1, 2, 3)]
    assert heights[2] - heights[1] == heights[1] - heights[0] > 200
    assert pixels(sheet_row()).shape[1] == SHEET_WIDTH == 1600


@pytest.mark.parametrize(("width", "height"), [(480, 480), (480, 120), (100, 800), (3, 2), (1, 50), (900, 1)])
def test_pictures_of_every_shape_fit(width, height):
    picture = pixels(sheet_row(width, height, boxes=((0, 0, width, height),)))
    assert 260 < len(picture) < 800
    assert (picture[:, :50] == picture[0, 0]).all()  # margins stay free
    assert (picture[:, -50:] == picture[0, 0]).all()


def test_four_columns_show_photo_boxes_masks_and_unreliable_pixels():
    sheet = pixels(sheet_row())
    top = 196  # of the first row
    rows = sheet[top + 5 : top + 230]
    columns = [rows[:, start : start + 357] for start in (56, 433, 810, 1187)]
    spread = [np.ptp(column, axis=-1) for column in columns]
    photo, boxes = ((abs(column[:, 10:-10] - (90, 120, 60)) <= 2).all(-1) for column in columns[:2])
    assert photo.all()
    assert 0.01 < 1 - boxes.mean() < 0.12  # lines and a name
    assert 0.03 < (spread[2] > 40).mean() < 0.15  # the mask, a sixteenth of the picture, has color
    assert (spread[3] > 100).mean() > 0.5  # yellow stripes everywhere
    calm = pixels(sheet_row(unreliable=False))[top + 5 : top + 230, 1187 : 1187 + 357]
    assert (np.ptp(calm[:, 10:-10], axis=-1) <= 9).all()


def test_one_class_has_one_color_in_all_rows():
    dog = sheet_row()
    cat_and_dog = sheet_row(boxes=((0, 0, 40, 40), (20, 10, 90, 70)), class_ids=(1, 2))
    alone, together = pixels(dog, dog), pixels(dog, cat_and_dog)
    top, bottom = 196, 196 + 238
    assert (alone[top:bottom] == together[top:bottom]).all()


def test_a_legend_that_has_no_room_counts_the_rest():
    many = tuple(f"a rather long class name {number}" for number in range(30))
    boxes = [(number, 0, number + 20, 40) for number in range(30)]
    sheet = pixels(sheet_row(boxes=boxes, class_ids=tuple(range(1, 31))), classes=many)
    assert (sheet[196 + 238 : -64, 1163:1187] == sheet[0, 0]).all()  # the gutter before the last column


def test_a_long_name_alone_is_cut_and_keeps_its_color():
    sheet = pixels(sheet_row(class_ids=(1,)), classes=("x" * 500,))
    caption = sheet[196 + 238 : -64, 433:1163]
    assert (np.ptp(caption[:, :11], axis=-1) > 100).any()
    assert (caption[:, 300:] == sheet[0, 0]).all()


@pytest.mark.parametrize("name", ["", "\n", "名前", "x" * 3000, "<script>", "a\x00b"])
def test_odd_class_names_are_drawn(name):
    assert pixels(sheet_row(), classes=("cat", name, "dog"), footer=name, subtitle=name).shape[1] == SHEET_WIDTH


def test_an_image_without_boxes_is_drawn():
    assert pixels(sheet_row(boxes=(), class_ids=())).shape[1] == SHEET_WIDTH


def test_the_same_rows_give_the_same_picture():
    assert (pixels(sheet_row()) == pixels(sheet_row())).all()


def test_no_rows_are_refused():
    with pytest.raises(SettingsError, match="at least one image"):
        contact_sheet([], CLASSES, title="nothing")
