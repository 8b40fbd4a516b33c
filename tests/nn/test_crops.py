import numpy as np
import pytest
import torch
from PIL import Image

from bana.data.objects import AnnotatedObject, make_record
from bana.nn.crops import GRAY, RandomCrops
from bana.nn.settings import TrainingSettings

BOXES = ((10, 10, 50, 40), (60, 5, 90, 80), (0, 50, 30, 90))


class PlainCrops(RandomCrops):
    """Crops with one mask, the number of each pixel's column."""

    def sample(self, record):
        columns = torch.arange(record.width).expand(1, record.height, record.width)
        return self.crop(record, columns.int())


@pytest.fixture
def crops(tmp_path):
    """Crops of a photograph whose red says the column of each pixel and whose green says the row."""
    rows, columns = np.mgrid[:90, :100].astype(np.uint8)
    Image.fromarray(np.stack([columns, rows, np.full_like(rows, 255)], axis=2)).save(tmp_path / "photo.png")
    objects = [AnnotatedObject(box, 1) for box in BOXES]
    record = make_record("photo", tmp_path / "photo.png", (100, 90), objects)
    settings = TrainingSettings(crop_size=65, scale_range=(1, 1), color_jitter=0)
    return PlainCrops([record], settings, 0, image_fill=GRAY, mask_fill=-1)


def test_visible_is_the_share_of_a_box_that_the_crop_shows(crops):
    """Counted by the pixels of each box, which the photograph's colors tell."""
    partly = 0
    for epoch in range(12):
        crop = crops[(epoch, 0)]
        columns, rows = crop.image[0], crop.image[1]
        for (x0, y0, x1, y1), visible in zip(BOXES, crop.visible.tolist(), strict=True):
            inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
            assert visible == pytest.approx(inside.sum().item() / ((x1 - x0) * (y1 - y0)), abs=1e-5)
            partly += 0 < visible < 1
    assert partly > 10


def test_masks_and_boxes_lie_where_the_image_shows_them(crops):
    seen = set()
    for epoch in range(12):
        crop = crops[(epoch, 0)]
        columns, rows = crop.image[0].int(), crop.image[1]
        assert torch.equal(crop.masks[0], columns)
        seen.add(bool(columns[0, 0] > columns[0, -1]))
        for (x0, y0, x1, y1), box, visible in zip(BOXES, crop.boxes.tolist(), crop.visible, strict=True):
            inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
            if visible:
                across, down = inside.any(0).nonzero(), inside.any(1).nonzero()
                assert box == [across.min(), down.min(), across.max() + 1, down.max() + 1]
    assert seen == {True, False}
