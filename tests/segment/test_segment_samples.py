"""Training samples of stage 3: every map lies on the pixels that it labels, and what is not known is ignored."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from bana.data.label_maps import write_label_map
from bana.data.objects import AnnotatedObject, make_record
from bana.data.records import ClassTable
from bana.nn.crops import GRAY
from bana.segment.samples import LabeledCrops, Targets, collate
from bana.segment.settings import SegmentSettings

SETTINGS = SegmentSettings(crop_size=65, scale_range=(1, 1))
TABLE = ClassTable(("one", "two", "three"))
HEIGHT, WIDTH = 48, 56
BOXES = ((4, 6, 30, 40), (16, 16, 54, 46))
"""Of classes 1 and 3; the second one, which is larger, lies behind the first."""

MAPS = ("y_crf", "y_ret", "boxes")


@dataclass
class GivenLabels:
    """Stands for a folder of labels: the same two maps for any image."""

    y_crf: np.ndarray
    y_ret: np.ndarray

    def label_map(self, labeling, record):
        return getattr(self, labeling)


def blocks(seed, classes=4):
    """A label map in blocks of 8 x 8 pixels that no mirror image has."""
    coarse = np.random.default_rng(seed).integers(0, classes, (HEIGHT // 8, WIDTH // 8), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8), np.uint8))


@pytest.fixture
def labels():
    return GivenLabels(blocks(1), blocks(2))


def box_map():
    """The class of the front box of every pixel."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for (x0, y0, x1, y1), class_id in ((BOXES[1], 3), (BOXES[0], 1)):
        labels[y0:y1, x0:x1] = class_id
    return labels


@pytest.fixture
def record(tmp_path, labels):
    """A photograph whose red, green and blue say Y_crf, Y_ret and the boxes of each pixel: 40 a class, and 10."""
    maps = np.stack([labels.y_crf, labels.y_ret, box_map()], axis=2)
    Image.fromarray(10 + 40 * maps).save(tmp_path / "photo.png")
    objects = [AnnotatedObject(box, class_id) for box, class_id in zip(BOXES, (1, 3), strict=True)]
    return make_record("photo", tmp_path / "photo.png", (WIDTH, HEIGHT), objects)


def crops(record, labels, table=TABLE, masks=None, **changes):
    targets = Targets(table, labels, masks or {})
    return LabeledCrops([record, record], targets, SETTINGS.model_copy(update=changes), seed=0)


def maps_of(sample):
    return [getattr(sample, name)[0] for name in MAPS]


def padding_of(sample):
    return (sample.images[0] == GRAY).all(0)


@pytest.mark.parametrize("crop_size", [33, 65])
def test_maps_follow_flips_and_crops(record, labels, crop_size):
    made, mirrored = crops(record, labels, crop_size=crop_size), set()
    for epoch in range(12):
        sample = made[(epoch, 0)]
        shown = ~padding_of(sample)
        for channel, each in zip(sample.images[0], maps_of(sample), strict=True):
            assert torch.equal(channel[shown], 10 + 40 * each[shown].float())
        if crop_size == 65:
            assert shown.sum() == HEIGHT * WIDTH
            found = sample.y_crf[0][shown].view(HEIGHT, WIDTH)
            mirrored.add(torch.equal(found.flip(1), torch.from_numpy(labels.y_crf).long()))
    assert mirrored == ({True, False} if crop_size == 65 else set())


def test_maps_follow_scales_and_labels_are_not_mixed(record, labels):
    """Colors are mixed where blocks meet, so only most of the pixels can be compared."""
    made, shares = crops(record, labels, crop_size=129, scale_range=(0.75, 2.0)), []
    for epoch in range(12):
        sample = made[(epoch, 0)]
        shown = ~padding_of(sample)
        for channel, each in zip(sample.images[0], maps_of(sample), strict=True):
            assert set(each.unique().tolist()) <= {0, 1, 2, 3, 255}
            assert ((channel - 10 - 40 * each).abs() < 10)[shown].float().mean() > 0.8
        shares.append(shown.float().mean().item())
    assert max(shares) > 2 * min(shares)


def test_padding_is_gray_and_ignored_in_every_map(record, labels):
    for epoch in range(4):
        sample = crops(record, labels)[(epoch, 0)]
        padding = padding_of(sample)
        assert padding.sum() == 65 * 65 - HEIGHT * WIDTH
        for each in maps_of(sample):
            assert (each[padding] == 255).all()
            assert (each[~padding] != 255).all()


def test_what_labels_ignore_stays_ignored(record, labels):
    labels.y_crf[:8], labels.y_ret[:, :8] = 255, 255
    sample = crops(record, labels)[(0, 0)]
    padded = 65 * 65 - HEIGHT * WIDTH
    assert (sample.y_crf == 255).sum() == padded + 8 * WIDTH
    assert (sample.y_ret == 255).sum() == padded + 8 * HEIGHT
    assert (sample.boxes == 255).sum() == padded


@pytest.mark.parametrize("has_labels", [True, False])
def test_a_true_mask_stands_in_the_place_of_both_labels(record, labels, tmp_path, has_labels):
    """Where the image has one, its labels do not matter; boxes stay boxes."""
    mask = blocks(3)
    mask[-8:] = 255
    write_label_map(tmp_path / "mask.png", mask)
    unread = GivenLabels(*np.zeros((2, HEIGHT, WIDTH), np.uint8)) if has_labels else None
    sample = crops(record, unread, masks={"photo": tmp_path / "mask.png"})[(0, 0)]
    shown = ~padding_of(sample)
    found = sample.y_crf[0][shown].view(HEIGHT, WIDTH).numpy()
    assert np.array_equal(found, mask) or np.array_equal(found[:, ::-1], mask)
    assert torch.equal(sample.y_crf, sample.y_ret)
    assert torch.equal(sample.images[0][2][shown], 10 + 40 * sample.boxes[0][shown].float())


def test_an_image_without_a_mask_keeps_its_labels_beside_one_that_has_one(record, labels, tmp_path):
    write_label_map(tmp_path / "mask.png", blocks(3))
    other = replace(record, image_id="other")
    targets = Targets(TABLE, labels, {"photo": tmp_path / "mask.png"})
    made = LabeledCrops([record, other], targets, SETTINGS, seed=0)
    assert torch.equal(made[(0, 0)].y_crf, made[(0, 0)].y_ret)
    assert not torch.equal(made[(0, 1)].y_crf, made[(0, 1)].y_ret)


def test_more_than_254_classes_keep_their_numbers_and_have_another_ignore_label(record, labels):
    """300 classes: 255 is one of them, and padding is 65535."""
    table = ClassTable(tuple(f"class {number}" for number in range(1, 301)))
    many = np.array([0, 255, 256, 300], np.uint16)
    record = replace(record, class_ids=np.array([255, 300]))
    wide = GivenLabels(many[labels.y_crf], many[labels.y_ret])
    wide.y_ret[:8] = 65535
    sample = crops(record, wide, table)[(0, 0)]
    padded = 65 * 65 - HEIGHT * WIDTH
    assert [each.unique().tolist() for each in maps_of(sample)] == [
        [0, 255, 256, 300, 65535],
        [0, 255, 256, 300, 65535],
        [0, 255, 300, 65535],
    ]
    assert [(each == 65535).sum() for each in maps_of(sample)] == [padded, padded + 8 * WIDTH, padded]
    shown = ~padding_of(sample)
    numbers = torch.searchsorted(torch.from_numpy(many.astype(np.int64)), sample.y_crf[0][shown])
    assert torch.equal(sample.images[0][0][shown], 10 + 40 * numbers)


def test_a_sample_depends_on_epoch_and_index_alone(record, labels):
    changes = {"color_jitter": 0.5, "scale_range": (0.5, 1.5)}
    made = crops(record, labels, **changes)
    first = made[(1, 1)]
    torch.rand(5)
    again = crops(record, labels, **changes)[(1, 1)]
    for name in ("images", *MAPS):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.images, made[(2, 1)].images)
    assert not torch.equal(first.images, made[(1, 0)].images)


def test_a_batch_has_its_samples_in_order(record, labels):
    made = crops(record, labels)
    samples = [made[(epoch, 0)] for epoch in range(3)]
    batch = collate(samples)
    assert batch.images.shape == (3, 3, 65, 65)
    assert (batch.images.dtype, batch.y_crf.dtype) == (torch.float32, torch.int64)
    for number, sample in enumerate(samples):
        for name in ("images", *MAPS):
            assert torch.equal(getattr(batch, name)[number], getattr(sample, name)[0])
