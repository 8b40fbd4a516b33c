"""What other annotation tools export (tests/exports, made by their own packages) is read without a fault."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bana import read_dataset
from bana.data.check import check
from bana.data.truth import instance_truth, object_masks
from bana.errors import DataError
from exports.make_exports import turned
from shapes_data import CLASSES, IMAGES, inside_of

EXPORTS = Path(__file__).parents[1] / "exports"

TRAIN_VAL = ["train", "val"]
TRAIN_VAL_TEST = [*TRAIN_VAL, "test"]


def named_boxes(record, classes):
    """Class and box of each object; YOLO's lines have five or six decimals."""
    pairs = zip(record.class_ids, record.boxes, strict=True)
    return [(classes[number - 1], box.round(2).tolist()) for number, box in pairs]


def true_boxes(name, moved=0, farther=0):
    """The boxes that were exported.

    Args:
        name: The image.
        moved: By how much their left and upper sides come out too far left and up.
        farther: By how much their right and lower sides come out too far right and down.
    """
    return [
        (kind, [max(x0 - moved, 0), max(y0 - moved, 0), x1 + farther, y1 + farther])
        for kind, (x0, y0, x1, y1) in IMAGES[name][1]
    ]


def records_of(folder, splits):
    """The records of an export with their classes, and the name of the drawn image, with which each id ends."""
    for split in splits:
        dataset = read_dataset(EXPORTS / folder, split)
        for record in dataset:
            yield record, dataset.classes, record.image_id[-1]


@pytest.mark.parametrize(
    ("folder", "splits", "image_ids"),
    [
        ("cvat/coco", ["default"], ["b", "sub/d"]),
        ("cvat/yolo", ["train"], ["obj_train_data/b", "obj_train_data/sub/d"]),
        ("cvat/yolo_ultralytics", ["train", "val"], ["images/train/b", "images/val/sub/d"]),
        ("label_studio/coco_with_images", [None], ["8f3a1b2c-b", "8f3a1b2c-d"]),
        ("label_studio/yolo_with_images", [None], ["8f3a1b2c-b", "8f3a1b2c-d"]),
        ("cvat/cvat_images", [None], ["b", "sub/d"]),
        ("fiftyone/coco", [None], ["b", "d"]),
        ("fiftyone/yolo", [None], ["b", "d"]),
        ("labelimg/yolo", [None], ["b", "d"]),
        ("labelme/shapes", [None], ["b", "d"]),
        ("labelme/image_data", [None], ["b", "d"]),
        ("labelme/oriented", [None], ["b", "d"]),
        ("anylabeling/coco_splits", TRAIN_VAL, ["d", "b"]),
        ("anylabeling/labels", [None], ["b", "d"]),
        ("anylabeling/coco", [None], ["d", "b"]),
        ("anylabeling/yolo", [None], ["b", "d"]),
        ("anylabeling/yolo_masks", [None], ["b", "d"]),
        ("anylabeling/yolo_splits", TRAIN_VAL, ["d", "b"]),
        ("x_anylabeling/rectangle", [None], ["b", "d"]),
        ("x_anylabeling/polygon", [None], ["b", "d"]),
        ("x_anylabeling/rotation", [None], ["b", "d"]),
        ("x_anylabeling/coco_rectangle", [None], ["b", "d"]),
        ("x_anylabeling/yolo_hbb", [None], ["b", "d"]),
        ("x_anylabeling/yolo_seg", [None], ["b", "d"]),
        ("x_anylabeling/yolo_obb", [None], ["b", "d"]),
        ("x_anylabeling/dota", [None], ["b", "d"]),
        ("ultralytics/detect", TRAIN_VAL, ["b", "d"]),
        ("ultralytics/segment", TRAIN_VAL, ["b", "d"]),
        ("ultralytics/pose", TRAIN_VAL, ["b", "d"]),
        ("ultralytics/obb", TRAIN_VAL, ["b", "d"]),
        ("roboflow/coco", ["train", "valid", "test"], ["b", "d", "c"]),
        ("roboflow/coco_masks", ["train", "valid", "test"], ["b", "d", "c"]),
        ("roboflow/voc", ["train", "valid", "test"], ["b", "d", "c"]),
        ("roboflow/yolo", TRAIN_VAL_TEST, ["b", "d", "c"]),
        ("roboflow/yolo_obb", TRAIN_VAL_TEST, ["b", "d", "c"]),
    ],
)
def test_boxes_are_those_that_were_drawn(folder, splits, image_ids):
    read = [(record.image_id, named_boxes(record, classes)) for record, classes, _ in records_of(folder, splits)]
    assert read == [(image_id, true_boxes(image_id[-1])) for image_id in image_ids]
    assert [check(EXPORTS / folder, split).faults for split in splits] == [()] * len(splits)


@pytest.mark.parametrize(
    "folder",
    [
        "cvat/voc",
        "fiftyone/voc",
        "labelimg/voc",
        "anylabeling/voc",
        "x_anylabeling/voc_rectangle",
        "x_anylabeling/voc_polygon",
    ],
)
def test_voc_of_tools_that_count_from_0_reaches_a_pixel_too_far(folder):
    dataset = read_dataset(EXPORTS / folder)
    assert [named_boxes(record, dataset.classes) for record in dataset] == [true_boxes("b", 1), true_boxes("d", 1)]


@pytest.mark.parametrize(
    ("folder", "splits", "farther"),
    [
        ("x_anylabeling/coco_polygon", [None], 1),  # its boxes reach to the end of the pixel in which the outline ends
        ("roboflow/yolo_masks", TRAIN_VAL_TEST, -1),  # its outlines go through the masks' first and last pixels
    ],
)
def test_boxes_of_outlines_that_a_tool_takes_for_pixels_end_elsewhere(folder, splits, farther):
    for record, classes, name in records_of(folder, splits):
        assert named_boxes(record, classes) == true_boxes(name, farther=farther)


@pytest.mark.parametrize(
    ("folder", "splits", "least"),
    [
        ("labelme/shapes", [None], 0.998),
        ("labelme/image_data", [None], 0.98),
        ("anylabeling/labels", [None], 0.98),
        ("anylabeling/coco", [None], 0.98),
        ("anylabeling/coco_splits", TRAIN_VAL, 0.98),
        ("anylabeling/yolo_masks", [None], 0.98),
        ("x_anylabeling/polygon", [None], 0.98),
        ("x_anylabeling/coco_polygon", [None], 0.98),
        ("x_anylabeling/yolo_seg", [None], 0.98),
        ("ultralytics/segment", TRAIN_VAL, 0.98),
        ("roboflow/coco_masks", ["train", "valid", "test"], 0.9),  # such outlines leave out the last row and column
        ("roboflow/yolo_masks", TRAIN_VAL_TEST, 0.9),
    ],
)
def test_masks_are_those_that_were_drawn(folder, splits, least):
    for record, classes, name in records_of(folder, splits):
        size, shapes = IMAGES[name]
        assert [classes[number - 1] for number in record.class_ids] == [kind for kind, _ in shapes]
        for shape, mask in zip(shapes, object_masks(record), strict=True):
            if mask is None:
                assert (shape[0], record.path.with_suffix(".json").is_file()) == ("square", True)  # drawn as a box
            else:
                drawn = inside_of(*shape, size)
                assert (mask & drawn).sum() / (mask | drawn).sum() > least


@pytest.mark.parametrize(
    ("folder", "splits"),
    [
        ("labelme/oriented", [None]),
        ("x_anylabeling/rotation", [None]),
        ("x_anylabeling/yolo_obb", [None]),
        ("x_anylabeling/dota", [None]),
        ("ultralytics/obb", TRAIN_VAL),
        ("roboflow/yolo_obb", TRAIN_VAL_TEST),
    ],
)
def test_turned_boxes_are_those_that_were_exported(folder, splits):
    for record, _, name in records_of(folder, splits):
        true_corners = [np.ravel(turned(box)) for _, box in IMAGES[name][1]]
        np.testing.assert_allclose(record.oriented, true_corners, atol=0.001)
        assert object_masks(record) == [None] * len(record)


@pytest.mark.parametrize("folder", ["rectangle", "polygon", "rotation", "voc_rectangle", "voc_polygon", "dota"])
def test_disks_that_x_anylabeling_calls_difficult_are(folder):
    dataset = read_dataset(EXPORTS / "x_anylabeling" / folder)
    assert [record.difficult.tolist() for record in dataset] == [[False, True], [False, False]]


def test_a_background_that_x_anylabeling_lists_is_no_class():
    assert read_dataset(EXPORTS / "x_anylabeling/coco_polygon").classes == CLASSES


def test_voc_of_label_studio_is_cut_to_whole_pixels_besides():
    dataset = read_dataset(EXPORTS / "label_studio/voc")
    for record, name in zip(dataset, ("b", "d"), strict=True):
        assert [dataset.classes[number - 1] for number in record.class_ids] == [kind for kind, _ in IMAGES[name][1]]
        np.testing.assert_allclose(record.boxes, [box for _, box in true_boxes(name, 1)], atol=1)


@pytest.mark.parametrize("folder", ["cvat/coco", "label_studio/coco_with_images"])
def test_an_export_without_images_says_which_are_missing(tmp_path, folder):
    shutil.copytree(EXPORTS / folder, tmp_path / "export", ignore=shutil.ignore_patterns("*.jpg"))
    with pytest.raises(DataError, match=r"image '.*b\.jpg' is not in .*; restore the image or remove its annotation"):
        read_dataset(tmp_path / "export")


def test_file_names_of_a_server_never_lead_out_of_the_export(tmp_path):
    shutil.copytree(EXPORTS / "label_studio/coco_with_images", tmp_path / "export")
    (tmp_path / "media/upload/1").mkdir(parents=True)
    image = tmp_path / "export/images/8f3a1b2c-b.jpg"
    image.rename(tmp_path / "media/upload/1" / image.name)  # where ../media/upload/1 of the file leads
    with pytest.raises(DataError, match=r"image '8f3a1b2c-b\.jpg' is not in"):
        read_dataset(tmp_path / "export")


def test_cvat_s_own_xml_is_not_taken_for_voc(tmp_path):
    with pytest.raises(DataError, match=r"is CVAT's own XML, not VOC's; give this file itself, or --format cvat"):
        read_dataset(EXPORTS / "cvat/cvat_images", format="voc")


def test_masks_of_cvat_are_crowds_until_told_otherwise(tmp_path):
    shutil.copytree(EXPORTS / "cvat/coco_masks", tmp_path / "export")
    assert all(record.crowd.all() for record in read_dataset(tmp_path / "export"))
    file = tmp_path / "export/annotations/instances_default.json"
    file.write_text(re.sub('"iscrowd": *1', '"iscrowd": 0', file.read_text()))  # as docs/howto/cvat.md says
    dataset = read_dataset(tmp_path / "export")
    assert (dataset.classes, [record.crowd.tolist() for record in dataset]) == (CLASSES, [[False, False]] * 2)
    for record, name in zip(dataset, ("b", "d"), strict=True):
        size, shapes = IMAGES[name]
        np.testing.assert_array_equal(instance_truth(record), [inside_of(*shape, size) for shape in shapes])


def test_labels_have_a_mask_for_each_box_in_the_order_of_the_export(run_cli, tmp_path):
    answer = run_cli(
        "label",
        EXPORTS / "cvat/coco",
        "--method",
        "box",
        "--formats",
        "coco",
        "--workers",
        1,
        "--out",
        tmp_path / "labels",
    )
    assert answer.status == 0, answer.err
    shutil.copytree(EXPORTS / "cvat/coco/images/default", tmp_path / "labels/coco/default")
    masked = read_dataset(tmp_path / "labels/coco")
    for record, boxed in zip(masked, read_dataset(EXPORTS / "cvat/coco"), strict=True):
        assert (record.image_id, record.object_ids) == (boxed.image_id, boxed.object_ids)
        np.testing.assert_array_equal(record.class_ids, boxed.class_ids)
        assert [mask.sum() for mask in instance_truth(record)] == [
            (x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in record.boxes
        ]
