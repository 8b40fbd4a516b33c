from dataclasses import replace

import numpy as np
import pytest
import torch

from bana.data.label_folder import LabelFolder
from bana.data.masks import decode_mask
from bana.data.reading import read_dataset
from bana.data.records import ClassTable
from bana.instance.samples import MIN_VISIBLE, InstanceCrops, collate
from bana.instance.settings import InstanceSettings
from bana.instance.targets import ObjectTargets
from shapes_data import CLASSES

SETTINGS = InstanceSettings(crop_size=129, color_jitter=0, scale_range=(1, 1))


@pytest.fixture(scope="module")
def records(shapes_voc):
    return {record.image_id: record for record in read_dataset(shapes_voc)}


@pytest.fixture(scope="module")
def labels(tiny_labels):
    return LabelFolder(tiny_labels)


def crops(records, labels, **changes):
    targets = ObjectTargets(ClassTable(CLASSES), labels)
    return InstanceCrops(list(records), targets, SETTINGS.model_copy(update=changes), seed=0)


def test_a_crop_larger_than_the_image_shows_all_of_it(records, labels):
    """Masks and reliable pixels are those of the label folder, mirrored or not."""
    record = records["e"]
    batch = crops([record], labels)[(0, 0)]
    (target,) = batch.targets
    assert batch.images.shape == (1, 3, 129, 129)
    assert target["labels"].tolist() == record.class_ids.tolist()
    agreed = labels.label_map("agreed", record) != 255
    for box, mask, reliable, expected in zip(
        target["boxes"], target["masks"], target["reliable"], labels.boxes(record), strict=True
    ):
        inside = decode_mask(expected.mask, record.height, record.width)
        assert mask.sum() == inside.sum()
        assert reliable.sum() == agreed.sum()
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        assert rows.min() >= box[1]
        assert columns.max() < box[2]
        shown = mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])].numpy()
        x0, y0, x1, y1 = record.boxes[int(target["boxes"].tolist().index(box.tolist()))].astype(int)
        truth = inside[y0:y1, x0:x1]
        assert np.array_equal(shown, truth) or np.array_equal(shown, truth[:, ::-1])


def test_labeled_pixels_are_reliable_or_uncertain_and_padding_is_neither(records, labels):
    (target,) = crops([records["e"]], labels)[(0, 0)].targets
    assert not (target["reliable"] & target["uncertain"]).any()
    assert target["uncertain"].any()
    labeled = labels.label_map("y_crf", records["e"]) != 255
    assert (target["reliable"] | target["uncertain"]).sum((1, 2)).tolist() == [labeled.sum()] * 2


def test_boxes_of_which_little_is_seen_are_not_learned_and_not_background(records, labels):
    seen = 0
    for epoch in range(40):
        (target,) = crops([records["e"]], labels, crop_size=33)[(epoch, 0)].targets
        areas = (target["boxes"][:, 2:] - target["boxes"][:, :2]).prod(1)
        assert (areas >= MIN_VISIBLE * 30 * 30).all()
        for x0, y0, x1, y1 in target["ignored"].tolist():
            seen += 1
            assert 0 < (x1 - x0) * (y1 - y0) < MIN_VISIBLE * 35 * 35
    assert seen > 5


def test_a_rejected_box_is_ignored_and_an_empty_one_has_a_class_but_no_mask(records, labels, monkeypatch):
    record = records["b"]
    first, second = labels.boxes(record)
    nothing = {"size": first.mask["size"], "counts": "0"}
    monkeypatch.setattr(
        labels, "boxes", lambda _: (replace(first, status="empty", mask=nothing), replace(second, status="rejected"))
    )
    (target,) = crops([record], labels)[(0, 0)].targets
    assert target["labels"].tolist() == [first.class_id]
    assert not target["masks"].any()
    assert not (target["reliable"] | target["uncertain"]).any()
    assert len(target["ignored"]) == 1


def test_an_image_without_boxes_is_a_sample(records, labels, monkeypatch):
    record = replace(
        records["a"],
        boxes=np.zeros((0, 4), np.float32),
        class_ids=np.zeros(0, np.int64),
        difficult=np.zeros(0, bool),
        crowd=np.zeros(0, bool),
        segmentations=(),
    )
    monkeypatch.setattr(labels, "boxes", lambda _: ())
    batch = collate([crops([record], labels)[(0, 0)]] * 2)
    assert batch.images.shape == (2, 3, 129, 129)
    assert [len(target["boxes"]) for target in batch.targets] == [0, 0]
    assert batch.targets[0]["masks"].shape == (0, 129, 129)


def test_a_sample_depends_on_epoch_and_index_alone(records, labels):
    made = crops([records["a"], records["b"]], labels, crop_size=65, color_jitter=0.5, scale_range=(0.5, 1.5))
    first = made[(1, 1)]
    torch.rand(5)
    again = made[(1, 1)]
    torch.testing.assert_close(again.images, first.images)
    for name, values in first.targets[0].items():
        torch.testing.assert_close(again.targets[0][name], values)
