"""The sheet of a run: four columns, the network's own classes among the colors, and pictures of all shapes."""

import numpy as np
import pytest

from bana.data.colors import PALETTE
from bana.errors import SettingsError
from bana.report.frame import SheetRow
from bana.report.pictures import SHEET_WIDTH, run_sheet

CLASSES = ("cat", "dog", "potted plant")
TOP, HIGH = 196, 119  # of the first row; of a panel of 120 x 40
COLUMNS = tuple(slice(start, start + 357) for start in (56, 433, 810, 1187))


def run_row(width=120, height=40, *, boxes=((20, 5, 90, 35),), class_ids=(2,), unreliable=False, predicted=2, **words):
    labels, prediction = np.zeros((2, height, width), words.pop("dtype", np.uint8))
    labels[height // 4 : height // 2, width // 4 : width // 2] = class_ids[0] if class_ids else 0
    prediction[height // 2 :, width // 2 :] = predicted
    return SheetRow(
        image=np.full((height, width, 3), (90, 120, 60), np.uint8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        class_ids=np.array(class_ids, np.int64),
        labels={"labels": labels, "prediction": prediction},
        unreliable=np.full((height, width), unreliable),
        **words,
    )


def pixels(*rows, classes=CLASSES, **words):
    sheet = run_sheet(rows, classes, **{"title": "From boxes to a network", **words})
    assert sheet.mode == "RGB"
    return np.asarray(sheet).astype(int)


def colored(panel):
    return np.ptp(panel, axis=-1) > 40


def squares(sheet, color, top=TOP + HIGH):
    """How many pixels of the legend have a class's color."""
    return (abs(sheet[top : top + 40, 433:1167] - color) <= 3).all(-1).sum()


def test_four_columns_show_photo_boxes_labels_and_prediction():
    sheet = pixels(run_row())
    assert sheet.shape[1] == SHEET_WIDTH == 1600
    photo, boxes, labels, prediction = (sheet[TOP : TOP + HIGH, column] for column in COLUMNS)
    assert (abs(photo[10:-10, 10:-10] - (90, 120, 60)) <= 2).all()
    assert 0.01 < (abs(boxes - (90, 120, 60)) > 40).any(-1).mean() < 0.15
    for panel, rows, columns in ((labels, (30, 60), (89, 178)), (prediction, (60, 119), (178, 357))):
        places = np.nonzero(colored(panel))
        assert (abs(np.array([places[0].min(), places[0].max() + 1]) - rows) <= 3).all()
        assert (abs(np.array([places[1].min(), places[1].max() + 1]) - columns) <= 3).all()


def test_every_heading_caption_and_note_is_written():
    bare, worded = pixels(run_row()), pixels(run_row(caption="a · 1 box", note="mIoU 71 % against the true mask"))
    head = (bare[150:190] < 100).all(-1)
    assert all(head[:, column].any() for column in COLUMNS)
    assert not head[:, :50].any()
    changed = (bare != worded).any(-1)
    assert changed[TOP + HIGH :, COLUMNS[0]].any()
    assert changed[TOP + HIGH :, COLUMNS[3]].any()
    assert not changed[: TOP + HIGH].any()


def test_unreliable_pixels_are_hatched_on_the_labels_only():
    calm, hatched = (pixels(run_row(unreliable=unreliable))[TOP : TOP + HIGH] for unreliable in (False, True))
    changed = (calm != hatched).any(-1)
    assert 0.2 < changed[:, COLUMNS[2]].mean() < 0.7
    assert not np.delete(changed, np.r_[COLUMNS[2]], axis=1).any()


def test_the_key_says_what_the_hatching_is_and_long_subtitles_end_before_it():
    sheets = [pixels(run_row(), subtitle=subtitle) for subtitle in ("", "words " * 200)]
    header = [sheet[:TOP, 1390:1544] for sheet in sheets]
    assert (header[0] != sheets[0][0, 0]).any()
    assert (header[0] == header[1]).all()


def test_a_class_that_only_the_network_sees_has_a_color_and_a_name():
    alone, more = pixels(run_row(predicted=2)), pixels(run_row(predicted=3))
    assert squares(alone, PALETTE[0]) > 60
    assert squares(alone, PALETTE[1]) == 0
    assert squares(more, PALETTE[1]) > 60
    teal = more[TOP + 75 : TOP + 105, 1187 + 200 : 1187 + 300]
    assert (teal[..., 1] > teal[..., 0] + 60).all()


@pytest.mark.parametrize("classes", [1, 3])
def test_names_of_many_boxes_leave_a_small_photograph_visible(classes):
    boxes = [(50 * column, 50 * row, 50 * column + 40, 50 * row + 40) for row in range(5) for column in range(5)]
    ids = [number % classes + 1 for number in range(25)]
    row = run_row(256, 256, boxes=boxes, class_ids=ids, predicted=1)
    named, bare = (pixels(row, classes=names)[TOP : TOP + 330, COLUMNS[1]] for names in (CLASSES, ("", "", "")))
    share = (named != bare).any(-1).mean()
    assert share == 0 if classes == 1 else 0.03 < share <= 0.1


def test_one_class_has_one_color_in_all_rows():
    first = run_row()
    other = run_row(boxes=((0, 0, 40, 20), (20, 5, 90, 35)), class_ids=(1, 2), predicted=1)
    alone, together = pixels(first, first), pixels(first, other)
    assert (alone[TOP : TOP + HIGH] == together[TOP : TOP + HIGH]).all()


@pytest.mark.parametrize("rows", [1, 8])
def test_every_row_adds_its_height(rows):
    assert len(pixels(*[run_row()] * rows)) == TOP + rows * (HIGH + 62) + 64


@pytest.mark.parametrize(("width", "height"), [(8, 8), (480, 120), (100, 800), (1, 50), (900, 1)])
def test_pictures_of_every_shape_fit(width, height):
    sheet = pixels(run_row(width, height, boxes=((0, 0, width, height),), unreliable=True))
    assert (sheet[:, :50] == sheet[0, 0]).all()
    assert (sheet[:, -50:] == sheet[0, 0]).all()


def test_no_objects_and_ignored_pixels_have_no_color():
    sheet = pixels(run_row(boxes=(), class_ids=(), predicted=255))
    assert not colored(sheet[TOP : TOP + HIGH, COLUMNS[2].start : COLUMNS[3].stop]).any()


def test_twelve_boxes_and_sixteen_bit_ids_are_drawn():
    classes = tuple(f"class {number}" for number in range(1, 401))
    boxes = [(8 * number, 2 * number, 8 * number + 30, 2 * number + 15) for number in range(12)]
    row = run_row(boxes=boxes, class_ids=tuple(range(300, 312)), predicted=400, dtype=np.uint16)
    sheet = pixels(row, classes=classes)
    assert colored(sheet[TOP : TOP + HIGH, COLUMNS[3]]).mean() > 0.2
    assert (sheet[TOP + HIGH : -64, 1167:1187] == sheet[0, 0]).all()  # the legend ends before the last column


def test_the_same_rows_give_the_same_picture():
    assert (pixels(run_row(), footer="a") == pixels(run_row(), footer="a")).all()


def test_no_rows_are_refused():
    with pytest.raises(SettingsError, match="at least one image"):
        run_sheet([], CLASSES, title="nothing")
