"""`bana check --labels`: boxes that look wrong by the labels made from them."""

import json

import numpy as np
import pytest

from bad_data import refused
from bana import read_dataset
from bana.data.label_folder import LabelFolder
from bana.data.masks import encode_mask
from bana.data.suspects import suspects

IMAGE = "b"
"""The image of the tiny data set with a square (8, 20, 40, 60) and a disk (44, 50, 76, 82)."""


@pytest.fixture
def folder(tiny_labels, tmp_path):
    """A copy of the tiny labels whose entries of IMAGE a test may change."""
    import shutil

    shutil.copytree(tiny_labels, tmp_path / "labels")
    return tmp_path / "labels"


def change(folder, number, mask=None, **values):
    file = folder / "instances" / f"{IMAGE}.json"
    content = json.loads(file.read_text())
    entry = content["instances"][number]
    entry.update(values)
    if mask is not None:
        entry["segmentation"] = encode_mask(mask)
    file.write_text(json.dumps(content))


def record_of(shapes_voc):
    return next(record for record in read_dataset(shapes_voc) if record.image_id == IMAGE)


def rectangle(record, x0, y0, x1, y1):
    mask = np.zeros((record.height, record.width), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def found(shapes_voc, folder):
    return list(suspects([record_of(shapes_voc)], LabelFolder(folder)))


def sound(shapes_voc, folder):
    record = record_of(shapes_voc)
    for number, box in enumerate(record.boxes.astype(int)):
        change(folder, number, rectangle(record, *box), status="ok", expected_iou=0.9)
    return record


def test_boxes_that_their_objects_fill_are_not_listed(shapes_voc, folder):
    sound(shapes_voc, folder)
    assert found(shapes_voc, folder) == []


def test_a_box_much_larger_than_its_object_is_listed_with_the_tight_box(shapes_voc, folder):
    record = sound(shapes_voc, folder)
    change(folder, 1, rectangle(record, 50, 55, 70, 80))
    (suspect,) = found(shapes_voc, folder)
    assert (suspect.image_id, suspect.number, suspect.class_name) == (IMAGE, 2, "disk")
    assert suspect.tight_box == (50, 55, 70, 80)
    assert "(50, 55, 70, 80)" in suspect.reason
    assert "49%" in suspect.reason  # 20 * 25 of 32 * 32 pixels


def test_a_box_without_object_is_listed(shapes_voc, folder):
    record = sound(shapes_voc, folder)
    change(folder, 0, rectangle(record, 0, 0, 0, 0), status="empty")
    (suspect,) = found(shapes_voc, folder)
    assert (suspect.number, suspect.tight_box) == (1, None)


def test_a_doubtful_mask_is_listed_and_one_without_expectation_is_not(shapes_voc, folder):
    sound(shapes_voc, folder)
    change(folder, 0, expected_iou=0.3)
    change(folder, 1, expected_iou=None)
    (suspect,) = found(shapes_voc, folder)
    assert suspect.number == 1
    assert "0.30" in suspect.reason


def test_a_rejected_box_is_not_listed(shapes_voc, folder):
    record = sound(shapes_voc, folder)
    change(folder, 0, rectangle(record, 0, 0, 0, 0), status="rejected")
    assert found(shapes_voc, folder) == []


def test_the_command_lists_them_and_counts_no_fault(run_cli, shapes_voc, folder):
    record = sound(shapes_voc, folder)
    change(folder, 1, rectangle(record, 50, 55, 70, 80))
    answer = run_cli("check", shapes_voc, "--labels", folder)
    assert answer.status == 0
    assert "b: box 2 (disk): its object fills 49% of it" in answer.out
    answer = run_cli("check", shapes_voc, "--labels", folder, "--json")
    (suspect,) = (each for each in json.loads(answer.out)["suspects"] if each["image_id"] == IMAGE)
    assert suspect["tight_box"] == [50, 55, 70, 80]


def test_labels_of_other_classes_are_refused(run_cli, shapes_voc, folder):
    manifest = json.loads((folder / "labels.json").read_text())
    (folder / "labels.json").write_text(json.dumps(manifest | {"classes": ["disk", "other", "cross"]}))
    refused(run_cli("check", shapes_voc, "--labels", folder), "square")
