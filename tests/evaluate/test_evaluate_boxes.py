import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bana.data.label_folder import LabeledBox
from bana.data.label_maps import write_label_map
from bana.data.masks import encode_mask
from bana.data.reading import read_dataset
from bana.data.records import ClassTable, ImageRecord
from bana.data.truth import semantic_truth
from bana.evaluate import ConfusionMatrix, mean_iou
from bana.evaluate.boxes import BoxAccuracy, box_labels
from bana.evaluate.folder import InstanceEvaluation

TABLE = ClassTable(("cat", "dog"))


def record_of(boxes, class_ids, crowd=None, masks=None):
    count = len(class_ids)
    return ImageRecord(
        image_id="one",
        path=Path("one.jpg"),
        width=6,
        height=4,
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        class_ids=np.array(class_ids, dtype=np.int64),
        difficult=np.zeros(count, dtype=bool),
        crowd=np.array(crowd or [False] * count, dtype=bool),
        segmentations=tuple(masks or [None] * count),
    )


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_smaller_box_is_in_front(order):
    boxes, class_ids = [[0, 0, 6, 3], [1, 1, 3, 4]], [1, 2]
    labels = box_labels(record_of([boxes[i] for i in order], [class_ids[i] for i in order]), TABLE)
    assert labels.tolist() == [[1, 1, 1, 1, 1, 1], [1, 2, 2, 1, 1, 1], [1, 2, 2, 1, 1, 1], [0, 2, 2, 0, 0, 0]]


def test_crowd_boxes_are_ignored_and_behind():
    labels = box_labels(record_of([[0, 0, 6, 2], [0, 0, 2, 1]], [1, 2], crowd=[False, True]), TABLE)
    assert labels.tolist() == [[1] * 6, [1] * 6, [0] * 6, [0] * 6]
    labels = box_labels(record_of([[0, 0, 6, 1]], [1], crowd=[True]), TABLE)
    assert labels.tolist() == [[255] * 6, [0] * 6, [0] * 6, [0] * 6]


def test_an_image_without_boxes_is_background():
    assert box_labels(record_of([], []), TABLE).tolist() == [[0] * 6] * 4


def test_labels_of_many_classes_need_16_bits():
    table = ClassTable(tuple(f"class {number}" for number in range(300)))
    labels = box_labels(record_of([[0, 0, 6, 4]], [300]), table)
    assert labels.dtype == np.uint16
    assert (labels == 300).all()


def test_box_accuracy():
    accuracy = BoxAccuracy()
    accuracy.update([1, 1, 2], [1, 2, 2])
    accuracy.update([2, 2, 3], [0, None, None])  # background is wrong; no prediction counts for nothing
    assert accuracy.boxes == 4
    assert accuracy.accuracy() == 50.0
    assert accuracy.per_class() == {1: 50.0, 2: 50.0}


def test_accuracy_of_no_boxes_is_nan_not_zero():
    accuracy = BoxAccuracy()
    accuracy.update([1], [None])
    assert math.isnan(accuracy.accuracy())
    assert accuracy.per_class() == {}


def rle(rows, columns):
    mask = np.zeros((4, 6), dtype=bool)
    mask[rows, columns] = True
    return encode_mask(mask)


LEFT, RIGHT = rle(slice(0, 4), slice(0, 2)), rle(slice(0, 4), slice(3, 6))


@pytest.mark.parametrize("unknown", [None, rle(slice(0, 0), slice(0, 0))], ids=["no mask", "empty mask"])
def test_an_object_whose_mask_is_not_known_is_neither_right_nor_wrong(unknown):
    instances = InstanceEvaluation(TABLE)
    record = record_of([[0, 0, 2, 4], [3, 0, 6, 4]], [1, 1], masks=[LEFT, unknown])
    boxes = [LabeledBox(1, "ok", 0.5, 0.5, 1, LEFT), LabeledBox(1, "ok", 0.9, 0.5, 1, RIGHT)]
    instances.update(boxes, record)
    assert instances.ap.scores().ap == pytest.approx(100.0)


def test_objects_whose_boxes_overlap_are_not_known_from_a_class_mask(tmp_path):
    """Of two cats that overlap nothing is known; the third is its class's pixels, and void is no part of a mask."""
    labels = np.zeros((4, 6), np.uint8)
    labels[:, :3], labels[:3, 4], labels[3, 4], labels[:, 5] = 1, 1, 255, 2
    write_label_map(tmp_path / "one.png", labels)
    boxes = [[0, 0, 2, 4], [1, 0, 3, 4], [4, 0, 5, 4], [4, 0, 6, 4]]
    record = replace(record_of(boxes, [1, 1, 1, 2]), semantic_path=tmp_path / "one.png")
    instances = InstanceEvaluation(TABLE)
    found = [LEFT, rle(slice(0, 4), slice(2, 3)), rle(slice(0, 4), slice(4, 5)), rle(slice(0, 4), slice(5, 6))]
    instances.update(
        [LabeledBox(c, "ok", 0.5, 0.5, None, mask) for c, mask in zip([1, 1, 1, 2], found, strict=True)], record
    )
    assert (instances.truth.derived, instances.truth.unknown) == (2, 2)
    assert instances.ap.scores().per_class == pytest.approx({1: 100.0, 2: 100.0})


def test_rejected_boxes_are_no_detections():
    instances = InstanceEvaluation(TABLE)
    boxes = [LabeledBox(1, "ok", 0.5, 0.5, 1, LEFT), LabeledBox(1, "rejected", 0.9, 0.5, None, RIGHT)]
    instances.update(boxes, record_of([[0, 0, 2, 4]], [1], masks=[LEFT]))
    assert instances.ap.scores().ap == pytest.approx(100.0)


@pytest.mark.shared
# 62.2 is the figure that the data comes with; 61.1 is what this code measured, to notice a change.
@pytest.mark.parametrize(("split", "miou"), [("train", 62.2), ("val", 61.1)])
def test_boxes_as_masks_on_voc(shared_data, split, miou):
    dataset = read_dataset(shared_data / "voc12-mini", split)
    confusion = ConfusionMatrix(21)
    for record in dataset:
        confusion.update(box_labels(record, dataset.class_table), semantic_truth(record, dataset.class_table))
    assert mean_iou(confusion) == pytest.approx(miou, abs=0.05)
    assert confusion.absent == ()
