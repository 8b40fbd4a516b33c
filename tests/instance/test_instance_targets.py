from dataclasses import replace

import numpy as np
import pytest

from bana.data.label_folder import LabelFolder
from bana.data.label_maps import write_label_map
from bana.data.masks import decode_mask, encode_mask
from bana.data.reading import read_dataset
from bana.data.records import ClassTable
from bana.errors import DataError
from bana.instance.targets import ObjectTargets
from shapes_data import CLASSES, IMAGES, inside_of, true_mask

TABLE = ClassTable(CLASSES)


@pytest.fixture(scope="module")
def records(shapes_voc):
    return {record.image_id: record for record in read_dataset(shapes_voc)}


@pytest.fixture
def folder(tiny_labels):
    return LabelFolder(tiny_labels)


def with_class_mask(record, tmp_path):
    truth = true_mask(*IMAGES[record.image_id])
    truth[:3] = 255
    write_label_map(tmp_path / "truth.png", truth)
    return replace(record, semantic_path=tmp_path / "truth.png"), truth


def test_labels_say_which_pixels_are_reliable(records, folder):
    record = records["b"]
    found = ObjectTargets(TABLE, folder).of(record)
    y_crf, y_ret = (folder.label_map(name, record) for name in ("y_crf", "y_ret"))
    agreed = folder.label_map("agreed", record) != 255
    np.testing.assert_array_equal(found.reliable, agreed)
    np.testing.assert_array_equal(found.uncertain, ~agreed)
    assert (y_crf != y_ret).any()
    assert found.learned.tolist() == [True, True]
    for mask, box in zip(found.masks, folder.boxes(record), strict=True):
        np.testing.assert_array_equal(mask, decode_mask(box.mask, record.height, record.width))


def test_pixels_that_no_label_knows_are_neither(records, folder, monkeypatch):
    record = records["b"]
    unknown = np.full((record.height, record.width), 255, np.uint8)
    monkeypatch.setattr(folder, "label_map", lambda *_: unknown)
    found = ObjectTargets(TABLE, folder).of(record)
    assert not (found.reliable | found.uncertain).any()


def test_without_labels_objects_have_what_their_class_has_in_their_box(records, tmp_path):
    record, truth = with_class_mask(records["d"], tmp_path)
    found = ObjectTargets(TABLE, None).of(record)
    for mask, box, class_id in zip(found.masks, record.boxes.astype(int), record.class_ids, strict=True):
        expected = np.zeros_like(mask)
        x0, y0, x1, y1 = box
        expected[y0:y1, x0:x1] = truth[y0:y1, x0:x1] == class_id
        np.testing.assert_array_equal(mask, expected)
        assert mask.any()
    np.testing.assert_array_equal(found.reliable, truth != 255)
    assert not found.uncertain.any()
    assert found.learned.all()


def test_without_labels_objects_have_their_own_masks_and_crowds_are_not_learned(records):
    size, shapes = IMAGES["d"]
    record = records["d"]
    masks = [inside_of(name, box, size) for name, box in shapes]
    record = replace(record, segmentations=tuple(map(encode_mask, masks)), crowd=np.array([False, True]))
    found = ObjectTargets(TABLE, None).of(record)
    np.testing.assert_array_equal(found.masks, masks)
    assert found.learned.tolist() == [True, False]
    np.testing.assert_array_equal(found.reliable, ~masks[1] | masks[0])  # a crowd's pixels are not known


def test_images_that_tell_nothing_are_refused(records, folder):
    with pytest.raises(DataError, match="image d has no true mask"):
        ObjectTargets(TABLE, None).of(records["d"])
    with pytest.raises(DataError, match="image z has no labels"):
        ObjectTargets(TABLE, folder).of(replace(records["d"], image_id="z"))
