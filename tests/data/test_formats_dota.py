"""DOTA: oriented boxes in text files."""

import numpy as np
import pytest

import bana
from bana.data.convert import convert
from bana.data.reading import format_of, read_dataset
from bana.errors import DataError
from data_samples import SIZE, write_photo

TURNED = "20 5 35 15 25 30 10 20"
UPRIGHT = "1 2 9 2 9 8 1 8"


def write_dota(folder, files, images=None):
    for name in files if images is None else images:
        write_photo(folder / "images" / f"{name}.jpg")
    for name, lines in files.items():
        file = folder / "labelTxt" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines))
    return folder


def test_rows_become_objects(tmp_path):
    rows = ["imagesource:GoogleEarth", "gsd:0.146", f"{TURNED} ship 0", f"{UPRIGHT} small vehicle 1", ""]
    root = write_dota(tmp_path, {"P0001": rows}, ["P0001", "P0002"])
    assert format_of(root) == "dota"
    dataset = read_dataset(root, strict=True)
    assert dataset.classes == ("ship", "small vehicle")
    first, second = dataset
    assert (first.image_id, first.class_ids.tolist(), first.difficult.tolist()) == ("P0001", [1, 2], [False, True])
    assert first.boxes.tolist() == [[10, 5, 35, 30], [1, 2, 9, 8]]
    assert first.oriented == ([20, 5, 35, 15, 25, 30, 10, 20], None)
    assert (second.image_id, len(second)) == ("P0002", 0)


@pytest.mark.parametrize("labels", ["labelTxt-v1.5", "annfiles"])
def test_other_names_of_the_folder_of_labels(tmp_path, labels):
    write_dota(tmp_path, {"a": [f"{TURNED} ship 0"]})
    (tmp_path / "labelTxt").rename(tmp_path / labels)
    assert len(read_dataset(tmp_path)[0]) == 1


@pytest.mark.parametrize("inside", [False, True])
def test_splits_are_folders_around_or_within(tmp_path, inside):
    for split, name in (("train", "ship"), ("val", "plane")):
        if inside:
            write_dota(tmp_path, {f"{split}/a": [f"{TURNED} {name} 0"]})
        else:
            write_dota(tmp_path / split, {"a": [f"{TURNED} {name} 0"]})
    with pytest.raises(DataError, match="has several splits; choose one with --split: train, val"):
        read_dataset(tmp_path)
    dataset = read_dataset(tmp_path, "val")
    assert (dataset.classes, dataset[0].image_id, dataset[0].class_ids.tolist()) == (("plane", "ship"), "a", [1])


def test_a_list_of_classes_gives_their_order(tmp_path):
    root = write_dota(tmp_path, {"a": [f"{TURNED} ship 0"]})
    (root / "labels.txt").write_text("plane\nship\n")
    assert read_dataset(root)[0].class_ids.tolist() == [2]


@pytest.mark.parametrize(
    ("row", "message", "ignored"),
    [
        ("1 2 3 4 ship 0", "line 1: is not eight numbers, a class and 0 or 1", []),
        ("20 5 35 15 25 30 10 nan ship 0", "is not eight numbers", []),
        (TURNED, "is not eight numbers, a class", [[10, 5, 35, 30]]),
        ("99 5 110 15 100 30 90 20 ship 0", "lies outside the 60x40 image", []),
    ],
)
def test_a_row_that_cannot_be_used_costs_itself(tmp_path, row, message, ignored):
    root = write_dota(tmp_path, {"a": [row, f"{TURNED} ship 0"]})
    dataset = read_dataset(root)
    assert [message in note.reason for note in dataset.notes] == [True]
    assert (len(dataset[0]), dataset[0].ignored.tolist()) == (1, ignored)
    with pytest.raises(DataError, match=message):
        read_dataset(root, strict=True)


def test_a_text_file_without_an_image_is_noted(tmp_path):
    dataset = read_dataset(write_dota(tmp_path, {"a": [f"{TURNED} ship 0"], "gone": []}, ["a"]))
    assert [(note.image_id, note.kind) for note in dataset.notes] == [("gone", "left out")]


@pytest.mark.parametrize("to", ["yolo", "labelme", "voc", "dota"])
def test_turned_boxes_go_to_every_format_that_has_them_and_back(tmp_path, to):
    source = write_dota(tmp_path / "source", {"a": [f"{TURNED} ship 0"]})
    convert(source, tmp_path / to, to)
    dataset = read_dataset(tmp_path / to)
    (found,) = dataset[0].oriented
    corners, expected = (np.reshape(each, (4, 2)) for each in (found, [float(word) for word in TURNED.split()]))
    first = int(np.abs(corners - expected[0]).sum(axis=1).argmin())  # VOC's angle says not where they begin
    np.testing.assert_allclose(np.roll(corners, -first, axis=0), expected, atol=0.01 if to == "voc" else 0.001)
    np.testing.assert_allclose(dataset[0].boxes, [[10, 5, 35, 30]], atol=0.01)


def test_pixels_outside_a_turned_box_are_labeled_background(tmp_path):
    record = read_dataset(write_dota(tmp_path, {"a": [f"{TURNED} ship 0"]}))[0]
    labeler = bana.Labeler.pretrained().for_classes(["ship"])
    labels = labeler(record.path, record.boxes, record.class_ids, oriented=record.oriented)
    assert labels.mask.shape == SIZE[::-1]
    assert labels.mask[6, 11] == 0  # a corner of its bounds
