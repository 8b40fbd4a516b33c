from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from bana.classify.samples import UNKNOWN, Batch, BoxCrops, collate, resize_to_features
from bana.classify.settings import ClassifySettings
from bana.data.objects import AnnotatedObject, make_record

SETTINGS = ClassifySettings(crop_size=65, color_jitter=0, scale_range=(1, 1), backbone="lite0")


def record_of(folder, pixels, boxes, crowd=()):
    """A photograph saved without loss, with boxes of classes 1, 2, ..."""
    path = folder / "photo.png"
    Image.fromarray(pixels).save(path)
    objects = [AnnotatedObject(tuple(box), number + 1, crowd=number in crowd) for number, box in enumerate(boxes)]
    return make_record("photo", path, (pixels.shape[1], pixels.shape[0]), objects)


def painted(height, width, box, color=(255, 0, 0)):
    pixels = np.full((height, width, 3), 60, np.uint8)
    x0, y0, x1, y1 = box
    pixels[y0:y1, x0:x1] = color
    return pixels


def same(first, second):
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def test_a_sample_depends_on_epoch_and_index_alone(tmp_path):
    record = record_of(tmp_path, painted(90, 120, (30, 20, 70, 60)), [(30, 20, 70, 60)])
    settings = SETTINGS.model_copy(update={"color_jitter": 0.5, "scale_range": (0.5, 1.5)})
    crops = BoxCrops([record, record], settings, seed=3)
    assert len(crops) == 2
    first = crops[(1, 0)]
    torch.rand(7)
    crops[(0, 0)]
    assert same(first, BoxCrops([record, record], settings, seed=3)[(1, 0)])
    assert not torch.equal(first.image, crops[(1, 1)].image)
    assert not torch.equal(first.image, crops[(2, 0)].image)
    assert not torch.equal(first.image, BoxCrops([record], settings, seed=4)[(1, 0)].image)


@pytest.mark.parametrize(("side", "width"), [(None, 40), (60, 20), (240, 80)])
def test_images_are_taken_to_have_a_side(tmp_path, side, width):
    record = record_of(tmp_path, painted(90, 120, (30, 20, 70, 60)), [(30, 20, 70, 60)])
    settings = SETTINGS.model_copy(update={"image_side": side, "crop_size": 257})
    (box,) = BoxCrops([record], settings, seed=0)[(0, 0)].boxes
    assert (box[2] - box[0], box[3] - box[1]) == (width, width)


@pytest.mark.parametrize("scale_range", [(1, 1), (0.5, 1.5)])
def test_boxes_follow_flips_scales_and_crops(tmp_path, scale_range):
    """What is red in the crop is what the box frames, in many draws."""
    box = (30, 20, 70, 60)
    record = record_of(tmp_path, painted(90, 120, box), [box])
    crops = BoxCrops([record], SETTINGS.model_copy(update={"scale_range": scale_range}), seed=0)
    seen = 0
    for epoch in range(30):
        sample = crops[(epoch, 0)]
        red = sample.image[0].float() - sample.image[1].float() > 97  # half way at soft edges
        if not len(sample.boxes):
            continue
        rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
        framed = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert sample.boxes[0].tolist() == pytest.approx(framed, abs=0.0 if scale_range == (1, 1) else 1.0)
        seen += 1
    assert seen > 15


def test_background_is_what_lies_outside_all_boxes_and_inside_the_image(tmp_path):
    """A gray image smaller than the crop: black padding is no background, and neither is the box."""
    record = record_of(tmp_path, painted(40, 50, (10, 10, 30, 25)), [(10, 10, 30, 25)])
    for epoch in range(5):
        sample = BoxCrops([record], SETTINGS, seed=0)[(epoch, 0)]
        gray = (sample.image == 60).all(0)
        assert torch.equal(sample.background[0].bool(), gray)
        assert sample.background.sum() == 40 * 50 - 20 * 15


def test_a_box_that_a_crop_hardly_shows_is_neither_classified_nor_background(tmp_path):
    box = (0, 0, 300, 300)
    record = record_of(tmp_path, painted(400, 400, box), [box])
    crops = BoxCrops([record], SETTINGS, seed=0)  # 65x65 of 300x300 is under a tenth
    for epoch in range(10):
        sample = crops[(epoch, 0)]
        assert sample.boxes.shape == (0, 4)
        assert sample.class_ids.shape == (0,)
        assert sample.image_classes.tolist() == [1]  # of the whole image
        red = (sample.image[0] == 255) & (sample.image[1] == 0)
        assert torch.equal(sample.background[0] == 0, red)


def test_crowd_regions_are_neither_classified_nor_background(tmp_path):
    boxes = [(5, 5, 25, 25), (30, 30, 60, 60)]
    record = record_of(tmp_path, painted(65, 65, boxes[0]), boxes, crowd={1})
    sample = BoxCrops([record], SETTINGS, seed=0)[(0, 0)]
    assert sample.class_ids.tolist() == [1]
    assert sample.background.sum() == 65 * 65 - 20 * 20 - 30 * 30


def test_an_image_without_boxes_is_all_background(tmp_path):
    record = record_of(tmp_path, painted(65, 65, (0, 0, 1, 1)), [])
    sample = BoxCrops([record], SETTINGS, seed=0)[(0, 0)]
    assert sample.boxes.shape == (0, 4)
    assert (sample.background == 1).all()


def test_grayscale_images_have_three_channels(tmp_path):
    record = record_of(tmp_path, painted(65, 65, (5, 5, 40, 40)), [(5, 5, 40, 40)])
    gray = tmp_path / "gray.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (65, 65), dtype=np.uint8)).save(gray)
    sample = BoxCrops([replace(record, path=gray)], SETTINGS.model_copy(update={"color_jitter": 0.5}), seed=0)[(0, 0)]
    assert sample.image.shape == (3, 65, 65)
    assert sample.image.dtype == torch.uint8


def test_a_batch_numbers_its_images(tmp_path):
    record = record_of(tmp_path, painted(65, 65, (5, 5, 40, 40)), [(5, 5, 40, 40), (10, 10, 60, 60)])
    empty = replace(record, boxes=record.boxes[:0], class_ids=record.class_ids[:0], crowd=record.crowd[:0])
    crops = BoxCrops([record, empty, record], SETTINGS, seed=0)
    batch = collate([crops[(0, index)] for index in range(3)])
    assert batch.images.shape == (3, 3, 65, 65)
    assert batch.images.dtype == torch.float32
    assert batch.boxes[:, 0].tolist() == [0, 0, 2, 2]
    assert batch.class_ids.tolist() == [1, 2, 1, 2]
    assert batch.image_classes.tolist() == [[0, 1], [0, 2], [2, 1], [2, 2]]


def test_background_boxes_and_labels_are_resized_to_a_feature_map():
    """Cells sit on pixels 0, 8, ..., 64: a box from the center of pixel 16 to that of pixel 40 spans cells 2 to 5."""
    background = torch.ones(1, 1, 65, 65)
    background[:, :, 16:40, 16:40] = 0
    batch = Batch(
        images=torch.zeros(1, 3, 65, 65),
        background=background,
        boxes=torch.tensor([[0, 16.5, 16.5, 40.5, 40.5]]),
        class_ids=torch.tensor([1]),
        image_classes=torch.tensor([[0, 1]]),
        labels=torch.where(background[:, 0] == 1, 0, UNKNOWN).long(),
    )
    on_map, boxes, labels = resize_to_features(batch, (9, 9))
    expected = torch.ones(1, 1, 9, 9)
    expected[:, :, 2:5, 2:5] = 0
    assert torch.equal(on_map, expected)
    assert boxes.tolist() == [[0, 2, 2, 5, 5]]
    assert torch.equal(labels == 0, expected[:, 0] == 1)
    assert (labels[expected[:, 0] == 0] == UNKNOWN).all()


def test_a_cell_has_the_value_of_the_nearest_pixel():
    """Maps whose cells lie between pixels, as some backbones give: six cells on 65 pixels at 0, 12.8, 25.6, ..."""
    rows, columns = torch.meshgrid(torch.arange(65), torch.arange(65), indexing="ij")
    labels = (100 * rows + columns)[None]
    batch = Batch(
        images=torch.zeros(1, 3, 65, 65),
        background=labels[:, None] / 10000,
        boxes=torch.zeros(0, 5),
        class_ids=torch.zeros(0, dtype=torch.int64),
        image_classes=torch.zeros(0, 2, dtype=torch.int64),
        labels=labels,
    )
    background, _, found = resize_to_features(batch, (6, 4))
    nearest_rows, nearest_columns = torch.tensor([0, 13, 26, 38, 51, 64]), torch.tensor([0, 21, 43, 64])
    expected = 100 * nearest_rows[:, None] + nearest_columns
    assert torch.equal(found[0], expected)
    assert torch.equal(background[0, 0], expected / 10000)


def test_ignored_regions_are_no_background(tmp_path):
    """An object that could not be read: its pixels are known to be neither."""
    record = record_of(tmp_path, painted(65, 65, (5, 5, 25, 25)), [(5, 5, 25, 25)])
    unread = replace(record, ignored=np.array([[30, 30, 60, 60]], np.float32))
    sample = BoxCrops([unread], SETTINGS, seed=0)[(0, 0)]
    assert sample.class_ids.tolist() == [1]
    assert sample.background.sum() == 65 * 65 - 20 * 20 - 30 * 30


@dataclass
class GivenLabels:
    """Stands for a folder of labels: one map for any image."""

    classes: tuple[str, ...]
    agreed: np.ndarray

    def label_map(self, labeling, record):
        assert labeling == "agreed"
        return self.agreed


def test_agreed_labels_lie_on_their_pixels_and_nothing_else_is_known(tmp_path):
    """Classes 0 to 2 are known, 255 is not, and neither is the padding; the photograph shows the labels as colors."""
    agreed = np.zeros((40, 50), np.uint8)
    agreed[5:20, 5:30], agreed[20:30, 10:40], agreed[30:, :] = 1, 2, 255
    pixels = np.stack([np.choose(np.minimum(agreed, 3), [60, 120, 180, 240]).astype(np.uint8)] * 3, axis=2)
    record = record_of(tmp_path, pixels, [(5, 5, 30, 20), (10, 20, 40, 30)])
    crops = BoxCrops([record], SETTINGS, 0, GivenLabels(("one", "two"), agreed))
    for epoch in range(4):
        sample = crops[(epoch, 0)]
        shown = sample.image[0]
        for value, label in ((60, 0), (120, 1), (180, 2), (240, UNKNOWN), (0, UNKNOWN)):
            assert (sample.labels[shown == value] == label).all()
        assert {0, 60, 120, 180, 240} == set(shown.unique().tolist())
