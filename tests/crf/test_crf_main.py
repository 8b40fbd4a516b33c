import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bana.crf.__main__ import FOOTER, GUTTER, HEADER, MARGIN, PANEL, parse_boxes, probabilities_of
from bana.data.sample import FOLDER, sample_dataset
from bana.errors import SettingsError

PHOTO = FOLDER / "images" / "000000000294.jpg"
BOXES = "21,52,294,320;457,189,462,219"


def run(*arguments, cwd):
    command = [sys.executable, "-m", "bana.crf", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def panels(path, width, height):
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (HEADER + height + FOOTER, 2 * MARGIN + 3 * width + 2 * GUTTER, 3)
    lefts = [MARGIN + column * (width + GUTTER) for column in range(3)]
    return [sheet[HEADER : HEADER + height, left : left + width].astype(int) for left in lefts]


def test_draws_before_and_after(tmp_path):
    answer = run(PHOTO, "--boxes", BOXES, "--iterations", 3, "--threads", 1, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("000000000294-crf.png: 480x320, 3 classes (background ")
    assert answer.stdout.count("\n") == 1
    assert answer.stdout.endswith(" s\n")
    photo, before, after = panels(tmp_path / "000000000294-crf.png", PANEL, round(PANEL * 320 / 480))
    assert np.abs(after - before).mean() > 5
    assert np.abs(before - photo).mean() > 5
    small = np.asarray(Image.open(PHOTO).resize((PANEL, round(PANEL * 320 / 480)), Image.Resampling.LANCZOS), dtype=int)
    assert np.abs(small[:60] - photo[:60]).max() == 0  # nothing is drawn above the boxes


def test_exif_orientation_is_applied_and_weights_can_be_off(tmp_path):
    rotated, exif = tmp_path / "rotated.png", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((30, 60), 90, np.uint8)).save(rotated, exif=exif)
    off = "--gaussian-weight", 0, "--bilateral-weight", 0
    answer = run(rotated, "--boxes", "0,0,30,60", *off, "--out", tmp_path / "here" / "x.png", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "30x60, 2 classes" in answer.stdout
    panels(tmp_path / "here" / "x.png", PANEL // 2, PANEL)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ("1,2,3", "--boxes: '1,2,3' has 3 numbers; give x0,y0,x1,y1"),
        ("1,2,x,4", "--boxes: 'x' is not a number"),
        ("1,2,nan,4", "--boxes: 'nan' is not finite"),
        ("9,2,9,4", "--boxes: '9,2,9,4' is not allowed; give x0,y0,x1,y1 with 0 <= x0 < x1 <= 480"),
        ("0,0,5,5; 0,0,481,5", "--boxes: '0,0,481,5' is not allowed"),
        (" ; ", "has no box"),
    ],
)
def test_bad_boxes_are_refused(boxes, message):
    with pytest.raises(SettingsError, match="--boxes") as caught:
        parse_boxes(boxes, 480, 320)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        (PHOTO, "--boxes", "1,2,3"),
        (PHOTO, "--boxes", BOXES, "--bilateral-sxy", 0),
        ("missing.jpg", "--boxes", BOXES),
    ],
)
def test_errors_are_one_line_and_status_2(tmp_path, arguments):
    answer = run(*arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("bana.crf: error: ")
    assert answer.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_probabilities_are_soft_in_boxes_and_certain_outside():
    boxes = [(0, 0, 41, 31), (10, 10, 21, 21)]
    probabilities, outside = probabilities_of(boxes, (50, 60))
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-6)
    assert outside.sum() == 50 * 60 - 41 * 31
    assert (probabilities[0][outside] == 1).all()
    assert ((probabilities[0] < 1) == ~outside).all()
    assert probabilities[2, 15, 15] == pytest.approx(0.9)
    assert probabilities[1, 15, 30] == pytest.approx(0.3 + 0.6 * np.exp(-((20 / 41) ** 2)))
    assert 0.3 < probabilities[1, 0, 0] < 0.5
    assert probabilities[1, 15, 15] < 0.1  # behind the smaller box


def test_boxes_of_the_sample_set_are_boxes():
    record = next(record for record in sample_dataset().records if record.path == PHOTO)
    text = ";".join(",".join(map(str, box)) for box in record.boxes.tolist())
    np.testing.assert_array_equal(np.float32(parse_boxes(text, record.width, record.height)), record.boxes)
