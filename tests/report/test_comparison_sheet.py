"""Labeling methods side by side, and the violins of their filling rates."""

import io

import numpy as np
import pytest
from PIL import Image

from bana.errors import SettingsError
from bana.report.frame import SheetRow
from bana.report.pictures import COLUMN_WIDTH, comparison_sheet
from bana.report.violins import filling_rate_violins

CLASSES = ("cat", "dog")
TOP = 196


def row(**labels):
    return SheetRow(
        image=np.full((50, 100, 3), (90, 120, 60), np.uint8),
        boxes=np.array([[10, 10, 60, 40]], np.float32),
        class_ids=np.array([2]),
        labels={name: np.full((50, 100), value, np.uint8) for name, value in labels.items()},
        caption="photo",
    )


def columns(sheet, count):
    pixels = np.asarray(sheet).astype(int)
    lefts = [40 + number * (COLUMN_WIDTH + 12) for number in range(count)]
    return [pixels[TOP + 5 : TOP + 120, left + 5 : left + COLUMN_WIDTH - 5] for left in lefts]


def test_each_method_has_a_column():
    sheet = comparison_sheet([row(truth=2, box=0, half=255)], CLASSES, title="Ways")
    assert sheet.width == 80 + 4 * COLUMN_WIDTH + 3 * 12
    _, truth, box, half = columns(sheet, 4)
    color = [np.ptp(panel, axis=-1).mean() for panel in (truth, box, half)]
    assert color[0] > 60 > 10 > max(color[1:])  # labels are colored, background and open pixels are not
    assert box.std() < 5 < half.std()  # what is left open is hatched


def test_rows_of_different_methods_are_refused():
    for rows in ([], [row(truth=1, box=1), row(truth=1, sam=1)]):
        with pytest.raises(SettingsError, match="at least one image, and labels of the same methods"):
            comparison_sheet(rows, CLASSES, title="Ways")


def test_violins_draw_every_class_with_enough_boxes():
    rng = np.random.default_rng(0)
    rates = {way: {"cat": rng.random(20).tolist(), "dog": rng.random(3).tolist()} for way in ("truth", "box", "sam")}
    picture = Image.open(io.BytesIO(filling_rate_violins(rates, title="Filling rates")))
    assert picture.format == "PNG"
    one = np.asarray(picture.convert("RGB"))
    assert (one < 250).any(-1).mean() > 0.02
    rates["box"]["cat"] = [1.0] * 20  # no spread: still drawn
    assert Image.open(io.BytesIO(filling_rate_violins(rates, title="Filling rates"))).size == picture.size
    odd = {way: {r"$\foo$ 犬": values["cat"]} for way, values in rates.items()}
    assert filling_rate_violins(odd, title="")  # no mathematics
    with pytest.raises(SettingsError, match="no class has 5 boxes"):
        filling_rate_violins({"truth": {"dog": [0.5]}, "box": {"dog": [1.0]}}, title="")
