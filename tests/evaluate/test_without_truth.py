"""Measures that need no true masks."""

import numpy as np
import pytest
from PIL import Image

from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask
from bana.data.reading import read_dataset
from bana.data.sample import sample_dataset
from bana.data.truth import object_masks
from bana.evaluate.without_truth import color_gradient, contour_contrast, label_fit, mask_fit

SIZE = 64
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
BOX = np.array([16, 16, 48, 48], dtype=np.float32)


def disk(radius, center=(31.5, 31.5)):
    return (ROWS - center[0]) ** 2 + (COLUMNS - center[1]) ** 2 < radius**2


@pytest.fixture(scope="module")
def gradient():
    """A gray disk that touches the sides of BOX, on noise."""
    noise = np.random.default_rng(0).integers(0, 40, (SIZE, SIZE, 3))
    return color_gradient((noise + 160 * disk(16)[..., None]).astype(np.uint8))


@pytest.mark.parametrize(
    "worse",
    [disk(14), disk(19), disk(16, (31.5, 35.5)), (abs(ROWS - 31.5) < 16) & (abs(COLUMNS - 31.5) < 16)],
    ids=["too small", "too large", "shifted", "filled box"],
)
def test_the_true_mask_fits_best(gradient, worse):
    assert mask_fit(gradient, disk(16), BOX) > 1.1 * mask_fit(gradient, worse, BOX)


def test_a_mask_on_edges_that_leaves_sides_of_its_box_empty_fits_less(gradient):
    half = disk(16) & (COLUMNS < 32)
    assert mask_fit(gradient, half, BOX) < 0.6 * mask_fit(gradient, disk(16), BOX)


def test_an_empty_mask_does_not_fit(gradient):
    assert mask_fit(gradient, np.zeros((SIZE, SIZE), dtype=bool), BOX) == 0


def test_a_mask_of_the_whole_image_has_no_outline(gradient):
    assert contour_contrast(gradient, np.ones((SIZE, SIZE), dtype=bool)) == 0


def test_an_image_of_one_row_has_a_gradient():
    row = np.tile(np.arange(8, dtype=np.uint8)[None, :, None] * 20, (1, 1, 3))
    assert color_gradient(row).shape == (1, 8)
    assert color_gradient(row).max() > 0


def test_an_image_of_one_color_divides_by_nothing():
    flat = color_gradient(np.full((SIZE, SIZE, 3), 90, dtype=np.uint8))
    assert mask_fit(flat, disk(16), BOX) == 0


def test_true_masks_of_photographs_fit_better_than_filled_boxes():
    fits = []
    for record in sample_dataset().records[:6]:
        gradient = color_gradient(open_record_image(record))
        for mask, box in zip(object_masks(record), record.boxes, strict=True):
            if mask is not None and not record.crowd.any():
                filled = np.zeros_like(mask)
                left, top, right, bottom = np.rint(box).astype(int)
                filled[top:bottom, left:right] = True
                fits.append([mask_fit(gradient, each, box) for each in (mask, filled)])
    true, filled = np.mean(fits, 0)
    assert len(fits) > 10
    assert true > 1.3 * filled


def test_the_fit_of_labels_is_the_mean_over_all_boxes(shapes_voc, true_labels):
    records, labels = read_dataset(shapes_voc).records, LabelFolder(true_labels)
    fits = []
    for record in records:
        gradient = color_gradient(np.asarray(Image.open(record.path).convert("RGB")))
        for labeled, box in zip(labels.boxes(record), record.boxes, strict=True):
            fits.append(mask_fit(gradient, decode_mask(labeled.mask, record.height, record.width), box))
    assert label_fit(labels, records) == pytest.approx(np.mean(fits))
    assert label_fit(labels, ()) == 0
