import json
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bana import read_dataset
from bana.data.formats import yolo
from bana.errors import DataError
from data_samples import write_photo, write_yolo


def yaml_with(**splits):
    lines = [f"{name}: {value}" for name, value in splits.items()]
    return "\n".join([*lines, "names: {0: cat, 1: dog}", ""])


@pytest.mark.parametrize(
    ("line", "box", "polygon", "score"),
    [
        ("0 0.5 0.5 0.5 0.25", (15, 15, 45, 25), None, None),
        ("0 0.5 0.5 1 1", (0, 0, 60, 40), None, None),
        ("0.0 5e-1 0.5 1.01 1.01", (0, 0, 60, 40), None, None),  # half a pixel outside: clipped
        ("0 0.5 0.5 0.5 0.25 0.75", (15, 15, 45, 25), None, 0.75),
        ("0 0 0 0.5 0 0.5 0.25", (0, 0, 30, 10), [0, 0, 30, 0, 30, 10], None),
        ("0 0 0 0.5 0 0.5 0.25 0.5", (0, 0, 30, 10), [0, 0, 30, 0, 30, 10], 0.5),
    ],
)
def test_lines(tmp_path, line, box, polygon, score):
    record = read_dataset(write_yolo(tmp_path, {"a": f"\n{line}\n\n"}))[0]
    np.testing.assert_allclose(record.boxes, [box], atol=1e-4)
    assert record.class_ids.tolist() == [1]
    assert record.segmentations == ((None,) if polygon is None else ([polygon],))
    assert (None if record.scores is None else record.scores.tolist()) == (None if score is None else [score])


def test_a_data_set(tmp_path):
    write_yolo(tmp_path, {"a": "1 0.5 0.5 0.5 0.25\n0 0.5 0.5 1 1\n", "sub/b": ""})
    write_photo(tmp_path / "images/train/c.png")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, dataset.split, dataset.classes) == ("yolo", "train", ("cat", "dog"))
    assert dataset.class_table.source_ids == (1, 2)
    assert {record.image_id: record.class_ids.tolist() for record in dataset} == {"a": [2, 1], "c": [], "sub/b": []}


def test_the_size_is_the_upright_one(tmp_path):
    write_yolo(tmp_path)
    write_photo(tmp_path / "images/train/a.jpg", (60, 40), exif_orientation=8)
    record = read_dataset(tmp_path)[0]
    assert (record.width, record.height) == (40, 60)
    assert record.boxes.tolist() == [[10, 22.5, 30, 37.5]]


@pytest.mark.parametrize(
    "splits",
    [
        {"train": "images/train"},
        {"train": "./images/train/"},
        {"path": ".", "train": "images/train"},
        {"path": "images", "train": "train"},
        {"path": "/nowhere/else", "train": "images/train"},
        {"train": "[images/train]"},
        {"train": "../images/train"},  # as Roboflow writes it
        {"train": "list.txt"},
        {"train": "images/train/a.jpg"},
    ],
)
def test_ways_to_name_a_split(tmp_path, splits):
    write_yolo(tmp_path, data_yaml=yaml_with(**splits))
    (tmp_path / "list.txt").write_text("./images/train/a.jpg\n\n")
    for path in (tmp_path, tmp_path / "data.yaml"):
        dataset = read_dataset(path, "train")
        assert [(record.path, len(record)) for record in dataset] == [(tmp_path / "images/train/a.jpg", 1)]


def test_a_list_may_be_absolute_or_relative_to_the_root(tmp_path):
    write_yolo(tmp_path, {"a": "", "b": "0 0.5 0.5 1 1"}, yaml_with(train="lists/train.txt"))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text(f"{tmp_path}/images/train/b.jpg\nimages/train/a.jpg\n")
    assert [record.image_id for record in read_dataset(tmp_path)] == ["images/train/b", "images/train/a"]


def test_several_folders_are_one_split(tmp_path):
    write_yolo(tmp_path, data_yaml=yaml_with(train="[images/train, images/more]"))
    write_photo(tmp_path / "images/more/a.jpg")
    assert {record.image_id for record in read_dataset(tmp_path)} == {"train/a", "more/a"}


def test_splits_are_listed_when_one_is_missing_or_unknown(tmp_path):
    write_yolo(tmp_path, data_yaml=yaml_with(train="images/train", val="images/val"))
    assert set(yolo.splits(tmp_path)) == {"train", "val"}
    with pytest.raises(DataError, match="several splits; choose one with --split: train, val"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="no split 'test'; choose one of: train, val"):
        read_dataset(tmp_path, "test")


def test_splits_that_hold_the_same_are_one(tmp_path):
    write_yolo(tmp_path, data_yaml=yaml_with(train="images/train", val="images/train"))
    assert read_dataset(tmp_path).split == "train"
    assert read_dataset(tmp_path, "val").split == "val"


def test_other_texts_of_a_yaml_are_no_splits(tmp_path):
    write_yolo(
        tmp_path, data_yaml=yaml_with(train="images/train", license="CC BY 4.0", author="me", extra="images/train")
    )
    assert set(yolo.splits(tmp_path)) == {"train", "extra"}


def test_labels_are_where_the_last_folder_images_is_replaced(tmp_path):
    assert yolo.label_path(tmp_path / "images/x/images/y/a.b.jpg") == tmp_path / "images/x/labels/y/a.b.txt"
    assert yolo.label_path(tmp_path / "x/a.jpg") == tmp_path / "x/a.txt"


BAD_LINES = [
    ("0 0.5 0.5 x 1", "has a word that is not a number"),
    ("0 0.5 0.5", "has 2 numbers after the class"),
    ("0", "has 0 numbers after the class"),
    ("2 0.5 0.5 1 1", "class 2 is not in names"),
    ("-1 0.5 0.5 1 1", "class -1 is not in names"),
    ("0.5 0.5 0.5 1 1", "class 0.5 is not in names"),
    ("nan 0.5 0.5 1 1", "class nan is not in names"),
    ("0 0.5 0.5 nan 1", "box .* is not finite"),
    ("0 0.5 0.5 -0.5 1", "box .* is inverted"),
    ("0 0.5 0.5 0 1", "box .* is empty"),
    ("0 30 20 10 10", "box .* lies outside the 60x40 image"),
    ("0 0 0 1.5 0 1 1", "box .* reaches out of the 60x40 image"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_a_bad_line_is_named_with_its_number(tmp_path, line, message):
    write_yolo(tmp_path, {"a": f"0 0.5 0.5 1 1\n{line}\n", "b": "0 0.5 0.5 1 1"})
    with pytest.raises(DataError, match=rf"labels/train/a\.txt: line 2: {message}"):
        read_dataset(tmp_path, strict=True)
    dataset = read_dataset(tmp_path, on_error="skip", strict=True)
    assert [record.image_id for record in dataset] == ["b"]


BAD_YAML = [
    ("names: [a\n", "line 2: is not YAML"),
    ("names: [a]\n\ttrain: x\n", "line 2: is not YAML"),
    ("- a\n", "has no keys"),
    ("train: images/train\n", "names must be"),
    ("names: []\ntrain: images/train\n", "names must be"),
    ("names: {a: b}\ntrain: images/train\n", "names must map whole numbers"),
    ("names: [[a]]\ntrain: images/train\n", "names must map whole numbers"),
    ("names: [a]\nnc: 2\ntrain: images/train\n", "nc is not the number of names"),
    ("names: [a]\n", "names no split"),
    ("names: [a]\ntrain: images/none\n", "images/none is not in"),
    ("names: !!python/object/apply:os.getcwd []\ntrain: images/train\n", "line 1: is not YAML"),
]


@pytest.mark.parametrize(("text", "message"), BAD_YAML)
def test_a_bad_yaml_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"data\.yaml: {message}"):
        read_dataset(write_yolo(tmp_path, data_yaml=text), on_error="skip")


def test_an_alias_bomb_is_refused_at_once(tmp_path):
    levels = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 30)]
    bomb = "\n".join(["l0: &l0 [x]", *levels, "names: *l29", "nc: *l29", "train: images/train", ""])
    with pytest.raises(DataError, match=r"data\.yaml: line 2: is not YAML \(an alias"):
        read_dataset(write_yolo(tmp_path, data_yaml=bomb))


def test_a_list_that_leaves_the_data_set_is_refused(tmp_path):
    write_yolo(tmp_path / "set", data_yaml=yaml_with(train="list.txt"))
    write_photo(tmp_path / "b.jpg")
    (tmp_path / "set/list.txt").write_text("images/train/a.jpg\n../b.jpg\n")
    with pytest.raises(DataError, match=r"list\.txt: line 2: .* leaves the folder"):
        read_dataset(tmp_path / "set")


def test_a_missing_image_of_a_list_is_named(tmp_path):
    write_yolo(tmp_path, data_yaml=yaml_with(train="list.txt"))
    (tmp_path / "list.txt").write_text("images/train/a.jpg\nimages/train/b.jpg\n")
    with pytest.raises(DataError, match=r"b\.jpg: image not found"):
        read_dataset(tmp_path)


def test_images_that_differ_by_their_suffix_alone_share_their_labels(tmp_path):
    write_yolo(tmp_path, {"a": "0 0.5 0.5 1 1", "b": "0 0.5 0.5 1 1"})
    write_photo(tmp_path / "images/train/a.png")
    dataset = read_dataset(tmp_path, strict=True)
    assert [record.image_id for record in dataset] == ["a.jpg", "a.png", "b"]
    assert [len(record) for record in dataset] == [1, 1, 1]


@given(st.text(max_size=60) | st.lists(st.floats(width=16)).map(lambda values: " ".join(map(str, values))))
def test_any_line_is_an_object_or_a_data_error(line):
    try:
        entry = yolo.parse_line(line, (60, 40), {0: 1}, "x", repair=lambda _: None)
    except DataError:
        return
    assert entry.class_id == 1
    assert 0 <= entry.box[0] < entry.box[2] <= 60


@pytest.mark.parametrize("score", ["nan", "inf", "-inf", "1e39"])
def test_a_score_that_is_no_number_is_refused(tmp_path, score):
    write_yolo(tmp_path, {"a": f"0 0.5 0.5 0.2 0.2 {score}\n"})
    with pytest.raises(DataError, match=r"a\.txt: line 1: score .* is not a number in 0\.\.1"):
        read_dataset(tmp_path, strict=True)


def test_half_a_character_in_a_name_is_refused(tmp_path):
    write_yolo(tmp_path, data_yaml='train: images/train\nnames: [cat, "\\ud800"]\n')
    with pytest.raises(DataError, match=r"names has .*ud800.*, which is no text"):
        read_dataset(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems know no such names")
def test_a_file_name_that_is_not_utf_8_is_named_and_can_be_skipped(run_cli, tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "images/train/a.jpg").with_name(os.fsdecode(b"\xff.jpg")).write_bytes(
        (tmp_path / "images/train/a.jpg").read_bytes()
    )
    with pytest.raises(DataError, match=r"udcff\.jpg': the file name is not UTF-8; rename the image"):
        read_dataset(tmp_path, strict=True)
    out = tmp_path / "out"
    answer = run_cli("convert", tmp_path, out, "--to", "coco", "--on-error", "skip", "--json")
    assert answer.status == 1
    assert json.loads((out / "rejected.jsonl").read_text())["image_id"] == "\udcff"


@pytest.mark.parametrize("name", ["a" * 5000, "a/" * 3000, "\\0"])
@pytest.mark.parametrize("key", ["path", "train"])
def test_a_path_that_no_file_system_has(tmp_path, key, name):
    write_yolo(tmp_path, data_yaml=f'train: images/train\nnames: [cat, dog]\n{key}: "{name}"\n')
    if key == "path":
        assert len(read_dataset(tmp_path)) == 1
    else:
        with pytest.raises(DataError, match=r"data\.yaml: .* is not in"):
            read_dataset(tmp_path)


def write_darknet(
    root, index="classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n", **files
):
    """As CVAT exports YOLO 1.1, whose paths begin with a folder that is not there."""
    write_photo(root / "obj_train_data/a.jpg")
    texts = {"obj.data": index, "obj.names": "cat\ndog\n", "train.txt": "data/obj_train_data/a.jpg\n"}
    for name, text in (texts | {"obj_train_data/a.txt": "1 0.5 0.5 0.5 0.25\n"} | files).items():
        (root / name).write_text(text)
    return root


def test_darknet(tmp_path):
    dataset = read_dataset(write_darknet(tmp_path))
    assert (dataset.format, dataset.split, dataset.classes) == ("yolo", "train", ("cat", "dog"))
    assert [(each.image_id, each.boxes.tolist()) for each in dataset] == [("obj_train_data/a", [[15, 15, 45, 25]])]
    assert read_dataset(tmp_path / "obj.data").classes == ("cat", "dog")


def test_darknet_with_comments(tmp_path):
    write_darknet(tmp_path, index="# of CVAT\n; and more\nnames = obj.names\ntrain = train.txt\n")
    assert len(read_dataset(tmp_path)) == 1


def test_darknet_beside_its_folder_data(tmp_path):
    write_darknet(tmp_path / "data")
    (tmp_path / "data/obj.data").rename(tmp_path / "obj.data")
    assert [record.image_id for record in read_dataset(tmp_path)] == ["data/obj_train_data/a"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"index": "train = train.txt\n"}, r"obj\.data: names no classes; add a line"),
        ({"index": "names = ../obj.names\ntrain = train.txt\n"}, r"obj\.data: names: file name .* leaves"),
        ({"index": "names = obj.names\n"}, r"obj\.data: names no split; add one such as 'train = train\.txt'"),
        ({"index": "names = other.names\ntrain = train.txt\n"}, r"other\.names: cannot be read"),
        ({"index": "names = obj.names\ntrain\n"}, r"obj\.data: line 2: is not 'key = value'"),
        ({"index": "names = obj.names\ntrain = no.txt\n"}, r"obj\.data: no\.txt is not in"),
        ({"obj.names": "\n"}, r"obj\.names: lists no class"),
        ({"train.txt": "data/../../a.jpg\n"}, r"train\.txt: line 1: .* leaves the folder"),
        ({"train.txt": "data/obj_train_data/b.jpg\n"}, r"b\.jpg: image not found"),
    ],
)
def test_darknet_that_cannot_be_read(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        read_dataset(write_darknet(tmp_path, **files))


def test_a_list_of_classes_beside_images_and_labels(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "data.yaml").rename(tmp_path / "classes.txt").write_text("cat\n\nbird\n")
    with pytest.raises(DataError, match=r"a\.txt: line 1: class 1 is not in names"):  # a line left empty is no class
        read_dataset(tmp_path, strict=True)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = read_dataset(tmp_path, strict=True)
    assert (dataset.split, dataset.classes) == (None, ("cat", "dog"))
    assert [(record.image_id, record.boxes.tolist()) for record in dataset] == [("train/a", [[15, 15, 45, 25]])]
    with pytest.raises(DataError, match="has no splits, so not 'train' either"):
        read_dataset(tmp_path, "train", strict=True)


@pytest.mark.parametrize("folder", [".", "train"])
def test_labels_without_a_list_of_classes_say_what_is_missing(tmp_path, folder):
    write_photo(tmp_path / folder / "a.jpg")
    (tmp_path / folder / "a.txt").write_text("0 0.5 0.5 0.2 0.2")
    with pytest.raises(DataError, match="as YOLO has, but no list of classes; add "):
        read_dataset(tmp_path)
    (tmp_path / "classes.txt").write_text("cat")
    assert len(read_dataset(tmp_path)[0]) == 1
