"""Crops with the regions where each class may be."""

import numpy as np
import torch

from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.evaluate.boxes import box_labels
from bana.segment.samples import LabeledCrops, Targets, box_regions, collate, mask_regions
from shapes_data import write_shapes, write_true_masks


def crops(data, labels, settings, masks=()):
    paths = {record.image_id: record.semantic_path for record in data if record.image_id in masks}
    return LabeledCrops(data.records, Targets(data.class_table, LabelFolder(labels), paths), settings, seed=0)


def test_regions_are_the_boxes_of_every_class(shapes_voc):
    data = read_dataset(shapes_voc)
    for record in data:
        present, regions = box_regions(record)
        assert present.tolist() == sorted({0, *record.class_ids.tolist()})
        assert regions[0].all()
        for class_id, region in zip(present[1:], regions[1:], strict=True):
            expected = np.zeros_like(region)
            for x0, y0, x1, y1 in record.boxes[record.class_ids == class_id].astype(int):
                expected[y0:y1, x0:x1] = True
            np.testing.assert_array_equal(region, expected)
        np.testing.assert_array_equal(regions[1:].any(0), box_labels(record, data.class_table) > 0)


def test_regions_of_a_mask_are_its_labels():
    mask = np.array([[0, 2], [255, 2]], np.uint8)
    present, regions = mask_regions(mask)
    assert present.tolist() == [0, 2, 255]
    np.testing.assert_array_equal(regions[1], mask == 2)


def test_crops_have_regions_where_the_loss_asks(shapes_voc, tiny_labels, tiny_segment_settings):
    data = read_dataset(shapes_voc)
    plain, asked = (
        crops(data, tiny_labels, tiny_segment_settings.model_copy(update={"loss": loss}))
        for loss in ("nal", "em_fixed")
    )
    for index in range(len(data)):
        without, batch = plain[(0, index)], asked[(0, index)]
        assert not without.regions.numel()
        assert torch.equal(batch.images, without.images)
        assert batch.regions.shape == (1, 4, *batch.boxes.shape[1:])
        padded = batch.boxes == 255
        assert not batch.regions[:, 1:].any(1)[padded].any()
        assert batch.regions[:, 0][~padded].all()
        assert torch.equal(batch.regions[:, 1:].any(1), (batch.boxes > 0) & ~padded)
        assert batch.regions.gather(1, batch.boxes.where(~padded, 0)[:, None])[:, 0][~padded].all()
    both = collate([asked[(0, 0)], asked[(0, 1)]])
    assert both.regions.shape[:2] == (2, 4)
    assert collate([plain[(0, 0)], plain[(0, 1)]]).regions.numel() == 0


def test_a_true_mask_stands_for_the_boxes(tiny_labels, tiny_segment_settings, tmp_path):
    data = read_dataset(write_true_masks(write_shapes(tmp_path / "voc")))
    settings = tiny_segment_settings.model_copy(update={"loss": "em_fixed"})
    batch = crops(data, tiny_labels, settings, masks={"b"})[(0, 1)]
    known = batch.y_crf != 255
    assert torch.equal(batch.regions.sum(1) == 1, known)
    assert torch.equal(batch.regions.int().argmax(1)[known], batch.y_crf[known])
