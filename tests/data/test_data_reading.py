import numpy as np
import pytest

from bana import read_dataset
from bana.data.objects import checked_box
from bana.data.paths import checked_name, chosen_split
from bana.data.reading import format_of, require_split
from bana.data.records import ClassTable
from bana.errors import DataError, SettingsError
from data_samples import (
    coco_content,
    labelme_shape,
    voc_object,
    voc_xml,
    write_coco,
    write_labelme,
    write_voc,
    write_yolo,
)

WRITERS = {"voc": write_voc, "coco": write_coco, "yolo": write_yolo, "labelme": write_labelme}


@pytest.mark.parametrize("name", WRITERS)
def test_the_format_is_found_from_what_is_there(tmp_path, name):
    root = WRITERS[name](tmp_path)
    assert format_of(root) == name
    assert read_dataset(root).format == read_dataset(str(root), format=name).format == name
    assert read_dataset(root).root == root


def test_two_formats_in_one_folder_need_a_choice(tmp_path):
    write_voc(tmp_path)
    write_yolo(tmp_path)
    with pytest.raises(DataError, match="looks like voc and yolo; say which with --format"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path, format="voc").format == "voc"
    assert read_dataset(tmp_path, format="yolo").format == "yolo"


def test_paths_and_options_that_are_not_known(tmp_path):
    with pytest.raises(DataError, match="none: no such file or folder"):
        read_dataset(tmp_path / "none")
    with pytest.raises(DataError, match="holds no data set that is known"):
        read_dataset(tmp_path)
    write_voc(tmp_path)
    with pytest.raises(SettingsError, match="format 'pascal' is not known; choose one of: voc, coco"):
        read_dataset(tmp_path, format="pascal")
    with pytest.raises(SettingsError, match="on_error: 'ignore' is not known"):
        read_dataset(tmp_path, on_error="ignore")


@pytest.mark.parametrize("place", ["JPEGImages", "Annotations/a.xml", "images/train", "labels", "labels/train"])
def test_a_folder_in_a_data_set_names_the_data_set(tmp_path, place):
    root = tmp_path / "set"
    (write_voc if place[0].isupper() else write_yolo)(root)
    if place == "labels/train":
        (root / "data.yaml").rename(root / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError) as raised:
        read_dataset(root / place)
    assert str(raised.value) == f"{root / place}: is a part of the data set {root}; give that folder"


def test_a_folder_beside_a_data_set_is_no_part_of_it(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "notes").mkdir()
    with pytest.raises(DataError, match="holds no data set that is known"):
        read_dataset(tmp_path / "notes")


def test_yolo_seg_is_yolo(tmp_path):
    assert read_dataset(write_yolo(tmp_path), format="yolo-seg").format == "yolo"


def test_a_split_is_looked_for_without_reading(tmp_path):
    write_voc(tmp_path / "flat", lists={})
    write_yolo(tmp_path / "yolo")
    with pytest.raises(DataError, match="has no splits, so not 'train' either; leave out --split"):
        require_split(tmp_path / "flat", "train")
    with pytest.raises(DataError, match="has no split 'test'; choose one of: train"):
        require_split(tmp_path / "yolo", "test")
    require_split(tmp_path / "yolo", "train")


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "voc"])
def test_a_folder_of_another_format_is_refused_by_an_explicit_one(tmp_path, name):
    write_voc(tmp_path)
    with pytest.raises(DataError):
        read_dataset(tmp_path, format=name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_or_empty_folder_of_no_format_is_refused(tmp_path, name):
    (tmp_path / "a.txt").write_text("")
    for path in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(DataError) as caught:
            read_dataset(path, format=name)
        assert str(caught.value).startswith(f"{path}: ")


def test_text_files_must_be_utf_8(tmp_path):
    write_voc(tmp_path / "voc", lists={"Main/train": ["a"]})
    (tmp_path / "voc/labels.txt").write_bytes("h\u00e4user\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.txt: is not UTF-8 text \(byte 1\)"):
        read_dataset(tmp_path / "voc")
    write_coco(tmp_path / "coco")
    (tmp_path / "coco/instances.json").write_bytes(b'{"images": "\xe4"}')
    with pytest.raises(DataError, match=r"instances\.json: is not UTF-8 text"):
        read_dataset(tmp_path / "coco")


def test_a_byte_order_mark_does_not_matter(tmp_path):
    mark = b"\xef\xbb\xbf"
    write_voc(tmp_path / "voc", lists={"Main/train": ["a"]})
    write_coco(tmp_path / "coco")
    write_yolo(tmp_path / "yolo")
    for name in ("voc/ImageSets/Main/train.txt", "voc/Annotations/a.xml", "coco/instances.json", "yolo/data.yaml"):
        (tmp_path / name).write_bytes(mark + (tmp_path / name).read_bytes())
    for name in ("voc", "coco", "yolo"):
        assert len(read_dataset(tmp_path / name)) == 1


def test_no_boxes_and_no_images_are_refused(tmp_path):
    write_voc(tmp_path / "voc", {"a": voc_xml()})
    write_coco(tmp_path / "coco", {**coco_content(), "annotations": []})
    write_yolo(tmp_path / "yolo", {"a": ""})
    write_labelme(tmp_path / "labelme", shapes=[])
    for name in WRITERS:
        with pytest.raises(DataError, match=f"{name}:.* has no boxes in 1 images"):
            read_dataset(tmp_path / name)
    write_coco(tmp_path / "coco", {**coco_content(), "annotations": [], "images": []})
    with pytest.raises(DataError, match="coco: has 0 images"):
        read_dataset(tmp_path / "coco")


def test_when_every_image_is_rejected_the_first_reason_is_told(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(voc_object(box=(9, 9, 1, 1)))})
    with pytest.raises(DataError, match=r"0 images \(1 left out, the first: .*object 1: box .* is inverted"):
        read_dataset(tmp_path, on_error="skip", strict=True)


def test_one_class_and_boxes_that_cover_everything_are_fine(tmp_path):
    record = read_dataset(write_voc(tmp_path, {"a": voc_xml(voc_object(box=(1, 1, 60, 40)))}))[0]
    assert record.background_share == 0


def test_scores_and_flags_do_not_mix_up_with_order(tmp_path):
    shapes = [labelme_shape("rectangle", [[x, 1], [x + 3, 4]], label) for x, label in ((1, "b"), (9, "a"), (20, "b"))]
    record = read_dataset(write_labelme(tmp_path, *shapes))[0]
    assert record.class_ids.tolist() == [2, 1, 2]
    assert record.boxes[:, 0].tolist() == [1, 9, 20]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 60, 40), (0, 0, 60, 40)),
        ((-1, -0.5, 61, 40.5), (0, 0, 60, 40)),
        ((59.5, 39.5, 61, 41), (59.5, 39.5, 60, 40)),
    ],
)
def test_a_box_is_clipped_only_where_it_sticks_out_by_rounding(box, expected):
    assert checked_box(box, 60, 40, "x") == expected


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((-1.01, 0, 9, 9), "outside"),
        ((0, 0, 61.01, 9), "outside"),
        ((60, 0, 61, 9), "empty"),
        ((1, 1, 1, 9), "empty"),
        ((1, 9, 5, 1), "inverted"),
        ((0, float("nan"), 5, 5), "not finite"),
        ((0, 0, float("inf"), 5), "not finite"),
    ],
)
def test_bad_boxes_are_refused(box, fault):
    with pytest.raises(DataError, match=f"^file: object 1: box .* {fault}"):
        checked_box(box, 60, 40, "file: object 1")


@pytest.mark.parametrize("name", ["a.jpg", "b/a.jpg", "./a.jpg", "b/../a.jpg", "b\\a.jpg", "..a.jpg", "a..jpg"])
def test_names_inside_a_folder(name):
    assert checked_name(name, "x").endswith("a.jpg") or checked_name(name, "x") == "a..jpg"


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "../a.jpg", "b/../../a.jpg", "/a.jpg", "\\\\a\\b", "C:/a", "a\0.jpg"]
)
def test_names_that_leave_a_folder(name):
    with pytest.raises(DataError, match=r"x: file name .* leaves the image folder"):
        checked_name(name, "x")


def test_long_lists_of_splits_are_cut(tmp_path):
    with pytest.raises(DataError, match=r"s0, s1, .* and 8 more"):
        chosen_split(tmp_path, "x", {f"s{number}": 0 for number in range(20)})


@pytest.mark.shared
def test_voc_mini_is_read_as_it_is(shared_data):
    sizes = {"train": 311, "train_aug": 902, "val": 159}
    for split, count in sizes.items():
        dataset = read_dataset(shared_data / "voc12-mini", split)
        assert len(dataset) == count
        assert all(np.isfinite(record.boxes).all() and record.semantic_path for record in dataset)


def test_more_classes_than_a_label_map_holds_are_refused():
    assert ClassTable(tuple(map(str, range(65534)))).ignore_index == 65535
    with pytest.raises(DataError, match="classes: 65535, but label maps hold 65534"):
        ClassTable(tuple(map(str, range(65535))))
