"""The sheet of confidence: a column an epoch, in the colors of its bar, beside labels and unreliable pixels."""

import numpy as np
import pytest

from bana.errors import SettingsError
from bana.report.frame import SheetRow
from bana.report.panels import confidence_panel
from bana.report.pictures import CONFIDENCE_WIDTH, MAX_EPOCHS, confidence_sheet

CLASSES = ("cat", "dog", "potted plant")
TOP = 294  # of the first row


def confidence_row(width=120, height=40, *, sigma=(0.0, 1.0), class_ids=(2,), unreliable=True, dtype=np.uint8, **words):
    labels = np.zeros((height, width), dtype)
    labels[height // 4 : height // 2, width // 4 : width // 2] = class_ids[0] if class_ids else 0
    values = sigma if isinstance(sigma, dict) else dict(enumerate(sigma))
    return SheetRow(
        image=np.full((height, width, 3), (90, 120, 60), np.uint8),
        class_ids=np.array(class_ids, np.int64),
        labels={"labels": labels},
        unreliable=np.full((height, width), unreliable),
        confidence={epoch: np.full((height, width), value, np.float32) for epoch, value in values.items()},
        **words,
    )


def pixels(*rows, classes=CLASSES, **words):
    sheet = confidence_sheet(rows, classes, **{"title": "Confidence", **words})
    assert sheet.mode == "RGB"
    return np.asarray(sheet).astype(int)


def panels(sheet, epochs):
    """The panels of the first row, for an image that is wider than high, without their round corners."""
    columns = 3 + epochs
    cell = (CONFIDENCE_WIDTH - 2 * 84 - (columns - 1) * 18) // columns
    starts = [84 + column * (cell + 18) for column in range(columns)]
    return [sheet[TOP + 12 : TOP + round(cell / 3) - 12, start + 12 : start + cell - 12] for start in starts]


def color_of(value):
    return confidence_panel(np.array([[value]], np.float32))[0, 0].astype(int)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_confidence_has_the_colors_of_its_scale(epochs):
    values = np.linspace(0, 1, epochs).tolist()
    sheet = pixels(confidence_row(sigma=values))
    assert sheet.shape[1] == CONFIDENCE_WIDTH == 2400
    shown = panels(sheet, epochs)
    assert (abs(shown[0] - (90, 120, 60)) <= 2).all()
    for panel, value in zip(shown[3:], values, strict=True):
        assert abs(panel - color_of(value)).max() <= 2


def test_labels_once_plain_and_once_with_their_unreliable_pixels():
    plain, marked = panels(pixels(confidence_row()), 2)[1:3]
    changed = (plain != marked).any(-1)
    assert 0.2 < changed.mean() < 0.7
    color = np.ptp(plain, axis=-1) > 40
    assert 0.04 < color.mean() < 0.09
    assert (plain == panels(pixels(confidence_row(unreliable=False)), 2)[2]).all()


def test_a_confidence_that_varies_is_drawn_where_it_is():
    row = confidence_row(sigma=(0.5,))
    row.confidence[0][:, 60:] = 0
    panel = panels(pixels(row), 1)[3]
    middle = panel.shape[1] // 2
    assert abs(panel[:, : middle - 8] - color_of(0.5)).max() <= 2
    assert abs(panel[:, middle + 8 :] - color_of(0)).max() <= 2


def test_the_bar_shows_all_of_the_scale():
    header = pixels(confidence_row())[:TOP]
    bar = header[174, 1900:2316]
    for value in (0, 0.25, 0.5, 0.75):
        assert (abs(bar - color_of(value)).max(-1) <= 4).any()
    subtitled = pixels(confidence_row(), subtitle="words " * 300)[:TOP]
    assert (subtitled[:, 1750:] == header[:, 1750:]).all()


def test_epochs_are_in_order_and_name_their_columns():
    given = pixels(confidence_row(sigma={11: 1.0, 3: 0.0}))
    assert (given == pixels(confidence_row(sigma={3: 0.0, 11: 1.0}))).all()
    assert (given[TOP:] == pixels(confidence_row(sigma={0: 0.0, 1: 1.0}))[TOP:]).all()
    assert (given[:TOP] != pixels(confidence_row(sigma={0: 0.0, 1: 1.0}))[:TOP]).any()
    head = (given[225:290] < 100).all(-1)
    cell, gap = (CONFIDENCE_WIDTH - 2 * 84 - 4 * 18) // 5, 18
    for column in range(5):
        start = 84 + column * (cell + gap)
        assert head[:, start : start + cell].any()
        assert not head[:, start + cell : start + cell + gap].any()


def test_of_many_epochs_first_last_and_some_between_are_shown():
    many = {epoch: epoch / 12 for epoch in range(13)}
    few = {epoch: many[epoch] for epoch in (0, 3, 6, 9, 12)}
    assert len(few) == MAX_EPOCHS
    assert (pixels(confidence_row(sigma=many)) == pixels(confidence_row(sigma=few))).all()


def test_a_class_is_named_once_however_many_boxes_it_has():
    once, often = (pixels(confidence_row(class_ids=ids, caption="a")) for ids in ((2, 1), (2, 1, 2, 2)))
    assert (once == often).all()


@pytest.mark.parametrize(("width", "height"), [(8, 8), (480, 120), (100, 800), (1, 50), (900, 1)])
def test_pictures_of_every_shape_fit(width, height):
    sheet = pixels(confidence_row(width, height, sigma=(0, 0.2, 0.4, 0.6, 1)), confidence_row(sigma=[0.5] * 5))
    assert (sheet[:, :80] == sheet[0, 0]).all()
    assert (sheet[:, -80:] == sheet[0, 0]).all()


def test_rows_without_objects_and_sixteen_bit_ids_are_drawn():
    classes = tuple(f"class {number}" for number in range(1, 401))
    assert not (np.ptp(panels(pixels(confidence_row(class_ids=())), 2)[1], axis=-1) > 40).any()
    assert pixels(confidence_row(class_ids=(1,)), classes=("cat",)).shape[1] == CONFIDENCE_WIDTH
    sixteen = confidence_row(class_ids=tuple(range(300, 312)), dtype=np.uint16)
    assert (np.ptp(panels(pixels(sixteen, classes=classes), 2)[1], axis=-1) > 40).any()


def test_double_precision_confidence_gives_the_same_picture():
    row = confidence_row(sigma=(0.5,))
    double = SheetRow(**{**vars(row), "confidence": {0: row.confidence[0].astype(np.float64)}})
    assert (pixels(row) == pixels(double)).all()


def test_the_same_rows_give_the_same_picture():
    assert (pixels(confidence_row(), footer="a") == pixels(confidence_row(), footer="a")).all()


def test_no_rows_are_refused():
    with pytest.raises(SettingsError, match="at least one image"):
        confidence_sheet([], CLASSES, title="nothing")


@pytest.mark.parametrize("epochs", [({},), ({0: 1.0}, {}), ({0: 1.0}, {0: 1.0, 1: 1.0}), ({0: 1.0}, {1: 1.0})])
def test_rows_of_different_epochs_are_refused(epochs):
    with pytest.raises(SettingsError, match="the same epochs"):
        confidence_sheet([confidence_row(sigma=sigma) for sigma in epochs], CLASSES, title="odd")
