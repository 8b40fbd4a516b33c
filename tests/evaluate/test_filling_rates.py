"""Filling rates against areas counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bana.data.sample import sample_dataset
from bana.evaluate.filling_rates import FillingRates, class_masks


@pytest.fixture
def record():
    record = next(record for record in sample_dataset() if len(record) == 1 and not record.crowd.any())
    box = np.array([[2, 1, 6, 5], [4, 4, 8, 6]], dtype=np.float32)
    return replace(
        record,
        width=8,
        height=6,
        boxes=box,
        class_ids=np.array([3, 5]),
        crowd=np.array([False, False]),
        difficult=np.array([False, False]),
        segmentations=(None, None),
        semantic_path=None,
        instance_path=None,
    )


def labels():
    drawn = np.zeros((6, 8), np.uint8)
    drawn[1:3, 2:6] = 3  # half of the first box
    drawn[5, 0:8] = 5  # half of the second box, and more beside it
    return drawn


def test_masks_cut_by_boxes(record):
    first, second = class_masks(record, labels())
    assert (first.sum(), second.sum()) == (8, 4)
    rates = FillingRates()
    rates.update(record, [first, second])
    rates.update(record, [None, second])
    assert dict(rates.rates) == {3: [0.5], 5: [0.5, 0.5]}


def test_truth_from_objects_or_from_classes(record, tmp_path):
    table = sample_dataset().class_table
    Image.fromarray(labels()).save(tmp_path / "classes.png")
    of_classes = FillingRates()
    of_classes.update_truth(replace(record, semantic_path=tmp_path / "classes.png"), table)
    assert dict(of_classes.rates) == {3: [0.5], 5: [0.5]}
    objects = np.where(labels() == 3, 1, 0).astype(np.uint8)
    objects[4:6, 4:8] = 2  # all of the second box
    Image.fromarray(objects).save(tmp_path / "objects.png")
    of_objects = FillingRates()
    of_objects.update_truth(replace(record, instance_path=tmp_path / "objects.png"), table)
    assert dict(of_objects.rates) == {3: [0.5], 5: [1.0]}


def test_crowds_have_no_rate(record):
    rates = FillingRates()
    rates.update(replace(record, crowd=np.array([True, False])), class_masks(record, labels()))
    assert dict(rates.rates) == {5: [0.5]}
