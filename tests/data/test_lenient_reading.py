"""What other tools take is taken: repaired where no guess is needed, left out alone where it is of no use."""

import codecs
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bana.data.check import check
from bana.data.convert import WRITERS
from bana.data.images import open_image
from bana.data.objects import AnnotatedObject, make_record
from bana.data.reading import read_dataset
from bana.data.records import ClassTable
from bana.errors import DataError
from bana.label.boxes import crowd_pixels
from data_samples import (
    SIZE,
    coco_content,
    voc_object,
    voc_xml,
    write_coco,
    write_labelme,
    write_photo,
    write_voc,
    write_yolo,
)

CASES = Path(os.environ.get("BANA_TEST_CASES", ""))
BOX = [20, 10, 60, 50]
"""The box of most cases."""

OF_CASES = {
    **{name: [[BOX]] for name in ("coco_bs", "coco_float_ids", "coco_iscrowd_str", "coco_nan_unused")},
    **{name: [[BOX]] for name in ("coco_no_bbox_seg", "coco_seg_2pt", "coco_seg_empty2", "coco_seg_out")},
    **{name: [[BOX]] for name in ("coco_shapes_name", "coco_size0", "coco_string_ids", "coco_zero_height")},
    **{name: [[BOX]] for name in ("voc_gbk", "voc_stem_png", "voc_windows_filename", "yolo_labelimg_flat")},
    **{name: [[BOX]] for name in ("yolo_pose1", "yolo_pose3")},
    "coco_two_suffixes": [[BOX]] * 2,
    "lm_circle": [[BOX, [60, 20, 80, 40]]],
    "voc_copy_names": [[BOX]] * 3,
    "voc_ns_mixed": [[BOX]] * 2,
    "yolo_jfif": [[BOX]] * 8,
}


@pytest.mark.shared
@pytest.mark.skipif(not CASES.is_dir() or not CASES.name, reason="BANA_TEST_CASES names no folder")
@pytest.mark.parametrize("name", OF_CASES)
def test_the_boxes_of_a_case(name):
    report = check(CASES / name, "train" if name == "voc_copy_names" else None)
    assert report.faults == ()
    found = [record.boxes for record in report.dataset]
    assert len(found) == len(OF_CASES[name])
    for boxes, expected in zip(found, OF_CASES[name], strict=True):
        np.testing.assert_allclose(boxes, expected, atol=1e-4)


def coco_of(tmp_path, *annotations, image=None, **top):
    content = coco_content()
    content["images"][0] |= image or {}
    content["annotations"] = [
        {"id": number, "image_id": content["images"][0]["id"], "category_id": 3, "bbox": [10, 5, 20, 20], **entry}
        for number, entry in enumerate(annotations, start=1)
    ]
    return write_coco(tmp_path / "coco", json.dumps(content | top))


def kinds(dataset):
    return [note.kind for note in dataset.notes]


@pytest.mark.parametrize(
    ("segmentation", "notes"),
    [
        ([], []),
        (None, []),
        ([[]], ["left out"]),
        ([[10, 5, 30, 25]], ["left out"]),
        ([[10, 5, 30, 25, 7]], ["left out"]),
        ([[10, 5, 90, 5, 90, 25]], ["left out"]),
        ([[10, 5, float("nan"), 5, 30, 25]], ["left out"]),
        ("none", ["left out"]),
        ({"size": [4, 4], "counts": [16]}, ["left out"]),
        ({"counts": "x"}, ["left out"]),
    ],
)
def test_a_mask_that_cannot_be_used_costs_itself(tmp_path, segmentation, notes):
    dataset = read_dataset(coco_of(tmp_path, {"segmentation": segmentation}))
    assert dataset[0].boxes.tolist() == [[10, 5, 30, 25]]
    assert dataset[0].segmentations == (None,)
    assert kinds(dataset) == notes
    if notes:
        with pytest.raises(DataError, match="annotation 1"):
            read_dataset(dataset.root, strict=True)


@pytest.mark.parametrize(
    "segmentation", [[[10, 5, 30, 5, 30, 25, 10, 25]], {"size": [40, 60], "counts": [405, 20, 1975]}]
)
def test_without_a_box_the_bounds_of_the_mask_are_taken(tmp_path, segmentation):
    dataset = read_dataset(coco_of(tmp_path, {"bbox": None, "segmentation": segmentation}))
    assert dataset[0].boxes[0, [0, 1, 3]].tolist() == [10, 5, 25]
    assert kinds(dataset) == ["repaired"]


@pytest.mark.parametrize(
    "top", [{"info": {"year": float("nan")}}, {"licenses": "shapes"}, {"extra": [1, {"imagePath": 1}]}, {"info": None}]
)
def test_what_is_not_read_does_not_matter(tmp_path, top):
    dataset = read_dataset(coco_of(tmp_path, {"area": "big", "attributes": float("inf"), "shapes": 1}, **top))
    assert len(dataset[0]) == 1
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("box", "kind", "kept"),
    [
        ([10, 5, 0, 20], "left out", None),
        ([10, 5, 20, 0], "left out", None),
        ([10, 5, float("nan"), 20], "left out", None),
        ([100, 5, 20, 20], "left out", None),
        ([30, 25, -20, -20], "repaired", [10, 5, 30, 25]),
        ([50, 5, 20, 20], "repaired", [50, 5, 60, 25]),
        ([-9, -9, 20, 20], "repaired", [0, 0, 11, 11]),
    ],
)
def test_a_bad_box_costs_itself_or_is_repaired(tmp_path, box, kind, kept):
    dataset = read_dataset(coco_of(tmp_path, {"bbox": box}, {}))
    assert kinds(dataset) == [kind]
    assert dataset[0].boxes.tolist() == ([kept] if kept else []) + [[10, 5, 30, 25]]


def test_pixels_of_an_object_that_cannot_be_used_are_ignored(tmp_path):
    unknown = {"category_id": 99, "bbox": [40, 10, 10, 20]}
    xml = voc_xml(voc_object(), voc_object("unicorn", (41, 11, 50, 30)))
    voc = write_voc(tmp_path / "voc", {"a": xml})
    (voc / "labels.txt").write_text("cat\n")
    yolo = write_yolo(tmp_path / "yolo", {"a": "0 0.5 0.5 0.1 0.1\n7 0.75 0.5 0.16666667 0.5\n"})
    for root in (coco_of(tmp_path, {}, unknown), voc, yolo):
        dataset = read_dataset(root)
        assert kinds(dataset) == ["left out"]
        np.testing.assert_allclose(dataset[0].ignored, [[40, 10, 50, 30]], atol=1e-4)
        assert crowd_pixels(dataset[0]).sum() == 10 * 20
        assert len(dataset[0]) == 1


@pytest.mark.parametrize("ids", [("x", "y"), (7.0, 8.0), ("7", 8), ("007", "7"), (0, "b c")])
def test_ids_may_be_text_or_whole_floats(tmp_path, ids):
    first, second = ids
    content = coco_content()
    content["images"] = [{"id": each, "file_name": f"{name}.jpg"} for each, name in zip(ids, "ab", strict=True)]
    content["categories"] = [{"id": second, "name": "dog"}, {"id": first, "name": "cat"}]
    content["annotations"] = [
        {"id": "n1", "image_id": second, "category_id": first, "bbox": [10, 5, 20, 20]},
        {"id": 2.0, "image_id": first, "category_id": second, "bbox": [1, 1, 5, 5]},
    ]
    write_photo(tmp_path / "images" / "b.jpg")
    dataset = read_dataset(write_coco(tmp_path, content), strict=True)
    assert [record.image_id for record in dataset] == ["a", "b"]
    assert [[dataset.classes[number - 1] for number in record.class_ids] for record in dataset] == [["dog"], ["cat"]]


@pytest.mark.parametrize("image", [{"width": 0}, {"height": None}, {"width": -1}, {"width": "60"}, {"height": 40.0}])
def test_a_size_that_is_none_is_the_file_s(tmp_path, image):
    record = read_dataset(coco_of(tmp_path, {}, image=image))[0]
    assert (record.width, record.height) == SIZE


@pytest.mark.parametrize(
    ("flag", "crowd"),
    [("0", False), ("1", True), (0.0, False), (True, True), ("false", False), (None, False), ("", False)],
)
def test_flags_may_be_text(tmp_path, flag, crowd):
    assert read_dataset(coco_of(tmp_path, {"iscrowd": flag}))[0].crowd.tolist() == [crowd]


@given(st.integers() | st.text(max_size=4) | st.floats() | st.lists(st.integers(), max_size=2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_flag_is_read_as_it_is_meant_or_its_object_is_left_out(tmp_path, flag):
    meant = {"0": False, "1": True, "false": False, "true": True, "": False, "0.0": False, "1.0": True, "-0.0": False}
    dataset = read_dataset(coco_of(tmp_path, {"iscrowd": flag}, {}))
    text = str(flag).strip().casefold()
    if isinstance(flag, list) or text not in meant or (isinstance(flag, str) and "." in text):
        assert (len(dataset[0]), kinds(dataset)) == (1, ["left out"])
    else:
        assert dataset[0].crowd.tolist() == [meant[text], False]


@pytest.mark.parametrize(
    "name", ["images\\\\a.jpg", ".\\\\a.jpg", "C:\\\\x\\\\a.jpg", "/x/a.jpg", "../x/a.jpg", "A.JPG"]
)
def test_file_names_of_other_systems_find_the_image(tmp_path, name):
    name = name.replace("\\\\", "\\")
    coco = coco_of(tmp_path, {}, image={"file_name": name})
    voc = write_voc(tmp_path / "voc", {"a": voc_xml(voc_object(), filename=name)})
    labelme = write_labelme(tmp_path / "labelme", imagePath=name)
    for root in (coco, voc, labelme):
        dataset = read_dataset(root)
        (record,) = dataset
        assert record.path.name == "a.jpg"
        leaves = name.startswith(("C:", "/", "..")) and root is not voc  # whose image has the name of the XML file
        assert kinds(dataset) == ["repaired"] * leaves
        assert "\\" not in record.image_id


def test_the_image_that_filename_names_is_taken_where_several_have_the_stem(tmp_path):
    for suffix in (".jpg", ".png", ".bmp"):
        root = write_voc(tmp_path / suffix, {"a": voc_xml(voc_object(), filename=f"a{suffix}")})
        write_photo(root / "JPEGImages" / f"a{suffix}")
        assert read_dataset(root)[0].path.suffix == suffix
    root = write_voc(tmp_path / "stale", {"a": voc_xml(voc_object(), filename="old.png")})
    assert read_dataset(root)[0].path.name == "a.jpg"


@given(st.sampled_from([("jpg", "png"), ("png", "tif"), ("bmp", "jpg")]), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
def test_of_two_images_of_a_stem_the_named_one_is_read(tmp_path_factory, suffixes, first):
    root = tmp_path_factory.mktemp("voc")
    named = suffixes[0 if first else 1]
    write_voc(root, {"a": voc_xml(voc_object(), filename=f"a.{named}")})
    (root / "JPEGImages/a.jpg").unlink()
    for suffix in suffixes:
        write_photo(root / "JPEGImages" / f"a.{suffix}")
    assert read_dataset(root)[0].path.suffix == f".{named}"


TAGS = ["annotation", "object", "name", "bndbox", "xmin", "ymin", "xmax", "ymax", "size", "width", "height", "filename"]


@given(
    st.lists(st.sampled_from([str.lower, str.upper, str.title]), min_size=len(TAGS), max_size=len(TAGS)), st.booleans()
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
def test_tags_of_any_case_and_namespace_are_read(tmp_path, cases, namespace):
    xml = voc_xml(voc_object())
    for tag, case in zip(TAGS, cases, strict=True):
        xml = xml.replace(f"<{tag}>", f"<{case(tag)}>").replace(f"</{tag}>", f"</{case(tag)}>")
    if namespace:
        xml = xml.replace(f"<{cases[0]('annotation')}>", f'<{cases[0]("annotation")} xmlns="http://example.org/voc">')
    record = read_dataset(write_voc(tmp_path, {"a": xml}), strict=True)[0]
    assert record.boxes.tolist() == [[10, 5, 30, 25]]


def test_xml_that_is_not_an_annotation_is_a_fault(tmp_path):
    with pytest.raises(DataError, match="begins with <note>"):
        read_dataset(write_voc(tmp_path, {"a": "<note/>"}))


@pytest.mark.parametrize("encoding", ["gb2312", "GBK", "big5", "shift_jis", "euc-kr", "windows-1252", "utf-16"])
def test_annotations_in_any_encoding_that_they_declare(tmp_path, encoding):
    name = {"windows-1252": "caf\u00e9", "euc-kr": "\uac1c", "shift_jis": "\u732b"}.get(encoding, "\u87ba")
    xml = f'<?xml version="1.0" encoding="{encoding}"?>\n' + voc_xml(voc_object(name))
    write_voc(tmp_path, {"a": voc_xml(voc_object())})
    (tmp_path / "Annotations/a.xml").write_bytes(codecs.encode(xml, encoding))
    assert read_dataset(tmp_path).classes == (name,)


def test_an_encoding_that_is_not_the_declared_one_is_named(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(voc_object())})
    (tmp_path / "Annotations/a.xml").write_bytes(
        b'<?xml version="1.0" encoding="gbk"?><annotation>\xff\xff</annotation>'
    )
    with pytest.raises(DataError, match="declares the encoding gbk, which it is not; save it as UTF-8"):
        read_dataset(tmp_path)


def test_names_of_lists_may_hold_spaces_and_look_like_flags(tmp_path):
    names = ["photo", "photo (1)", "photo - Copy", "a -1", "x y 1", "#1", "100%"]
    root = write_voc(tmp_path, {name: voc_xml(voc_object()) for name in [*names, "out"]}, {"Main/train": names})
    assert [record.image_id for record in read_dataset(root, "train")] == names
    lists = [f"{name}  1" for name in names[:3]] + ["out -1"]
    (root / "ImageSets/Main/cat_train.txt").write_text("\n".join(lists))
    assert [record.image_id for record in read_dataset(root, "cat_train")] == names[:3]
    paths = [f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png" for name in ("photo", "out")]
    (root / "ImageSets/Segmentation").mkdir()
    (root / "ImageSets/Segmentation/aug.txt").write_text("\n".join(paths))
    assert [record.image_id for record in read_dataset(root, "aug")] == ["photo", "out"]


@pytest.mark.parametrize("names", [("train", "valid"), ("train", "valid", "test"), ("training", "validation")])
def test_folders_of_splits(tmp_path, names):
    yolo, voc = tmp_path / "yolo", tmp_path / "voc"
    for name in names:
        for folder in (yolo, voc):
            write_photo(folder / name / f"{name}1.jpg")
        (voc / name / f"{name}1.xml").write_text(voc_xml(voc_object("apple" if name == names[0] else "pear")))
        (yolo / name / f"{name}1.txt").write_text("1 0.5 0.5 0.2 0.2\n")
        (yolo / name / "_darknet.labels").write_text("apple\npear\n")
    for root in (yolo, voc):
        with pytest.raises(DataError, match=f"several splits; choose one with --split: {', '.join(sorted(names))}"):
            read_dataset(root)
        dataset = read_dataset(root, names[1], strict=True)
        assert ([record.image_id for record in dataset], dataset.classes) == ([f"{names[1]}1"], ("apple", "pear"))
        assert dataset.classes[dataset[0].class_ids[0] - 1] == "pear"


@pytest.mark.parametrize("listed", ["classes.txt", "obj.names", "predefined_classes.txt"])
def test_images_and_text_files_in_one_folder(tmp_path, listed):
    write_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "b.PNG")
    (tmp_path / "a.txt").write_text("1 0.5 0.5 0.2 0.2\n")
    (tmp_path / listed).write_text("cat\ndog\n")
    dataset = read_dataset(tmp_path, strict=True)
    assert [(record.image_id, len(record)) for record in dataset] == [("a", 1), ("b", 0)]


@pytest.mark.parametrize("shape", [[1, 2], [2, 3], [17, 3]])
@pytest.mark.parametrize("score", ["", " 0.5"])
def test_keypoints_are_no_outlines(tmp_path, shape, score):
    points = " 0.9" * (shape[0] * shape[1])
    text = f"train: images/train\nnames: [cat]\nkpt_shape: {shape}\n"
    root = write_yolo(tmp_path, {"a": f"0 0.5 0.5 0.5 0.5{points}{score}\n"}, text)
    record = read_dataset(root, strict=True)[0]
    np.testing.assert_allclose(record.boxes, [[15, 10, 45, 30]])
    assert record.segmentations == (None,)
    (root / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5 0.1\n0 0.5 0.5 0.1 0.1" + points + "\n")
    assert kinds(read_dataset(root)) == ["left out"]


@given(st.floats(0, 3.1), st.floats(4, 15), st.floats(4, 15))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
def test_oriented_boxes_are_boxes_and_no_masks(tmp_path, angle, width, height):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2] @ turn.T + [30, 20]
    row = " ".join(f"{value:.7f}" for value in (corners / SIZE).ravel())
    record = read_dataset(write_yolo(tmp_path, {"a": f"0 {row}\n1 {row}\n"}), strict=True)[0]
    assert record.segmentations == (None, None)
    np.testing.assert_allclose(record.boxes[0], [*corners.min(0), *corners.max(0)], atol=1e-3)
    np.testing.assert_allclose(record.oriented[0], corners.ravel(), atol=1e-3)


@pytest.mark.parametrize("angle", [0, 0.5, 2.2, "nan"])
def test_turned_boxes_of_voc_are_oriented(tmp_path, angle):
    numbers = {"cx": 30, "cy": 20, "w": 20, "h": 10, "angle": angle}
    turned = "".join(f"<{tag}>{value}</{tag}>" for tag, value in numbers.items())
    xml = voc_xml(f"<object><name>cat</name><robndbox>{turned}</robndbox></object>", voc_object())
    dataset = read_dataset(write_voc(tmp_path, {"a": xml}))
    if angle == "nan":
        assert kinds(dataset) == ["left out"]
        return
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-10, -5], [10, -5], [10, 5], [-10, 5]]) @ turn + [30, 20]
    np.testing.assert_allclose(np.reshape(dataset[0].oriented[0], (4, 2)), corners, atol=1e-9)
    np.testing.assert_allclose(dataset[0].boxes[0], [*corners.min(0), *corners.max(0)], atol=1e-4)
    assert dataset[0].oriented[1] is None


def test_outlines_of_which_one_is_no_rectangle_are_masks(tmp_path):
    rows = ["0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5", "0 0.1 0.1 0.5 0.2 0.6 0.5 0.1 0.5"]
    record = read_dataset(write_yolo(tmp_path, {"a": "\n".join(rows)}))[0]
    assert None not in record.segmentations
    assert record.oriented == ()


def test_every_image_that_pillow_opens_counts(tmp_path):
    formats = {
        "jfif": "JPEG",
        "gif": "GIF",
        "ppm": "PPM",
        "jp2": "JPEG2000",
        "mpo": "MPO",
        "avif": "AVIF",
        "tif": "TIFF",
    }
    root = write_yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5\n"})
    for suffix, name in formats.items():
        Image.open(root / "images/train/a.jpg").save(root / f"images/train/{suffix}.{suffix}", format=name)
        (root / f"labels/train/{suffix}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    report = check(root)
    assert (len(report.dataset), report.boxes, report.faults) == (8, 8, ())


@given(st.sets(st.sampled_from(["b", "c", "d"])), st.sets(st.sampled_from(["b", "c", "d"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
def test_labels_without_an_image_are_listed(tmp_path_factory, images, labels):
    root = write_yolo(tmp_path_factory.mktemp("yolo"), {"a": "0 0.5 0.5 0.5 0.5\n"})
    for name in images:
        write_photo(root / f"images/train/{name}.jpg")
    for name in labels:
        (root / f"labels/train/{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    dataset = read_dataset(root)
    assert [note.image_id for note in dataset.notes] == sorted(labels - images)
    assert [record.image_id for record in dataset] == sorted({"a"} | images)


def test_a_circle_is_a_disc_and_a_point_elsewhere_is_left_out(tmp_path):
    shapes = [
        {"label": "cat", "shape_type": "circle", "points": [[30, 20], [30, 30]]},
        {"label": "cat", "shape_type": "circle", "points": [[0, 0], [3, 4]]},
        {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [9, 1], [9, 9], [1, 9]]},
        {"label": "cat", "shape_type": "point", "points": [[45, 5]]},
        {"label": "nose", "shape_type": "line", "points": [[5, 5], [7, 7]]},
    ]
    dataset = read_dataset(write_labelme(tmp_path, shapes=shapes))
    np.testing.assert_allclose(dataset[0].boxes, [[20, 10, 40, 30], [0, 0, 5, 5], [1, 1, 9, 9]], atol=1e-4)
    assert sorted(kinds(dataset)) == ["left out", "left out", "repaired"]
    assert [mask is not None for mask in dataset[0].segmentations] == [True, True, False]


def test_an_image_inside_an_annotation_is_named(tmp_path):
    write_labelme(tmp_path, imageData="aGVsbG8=")
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DataError, match="inside it as imageData"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("dtype", "top", "wrong"), [("uint16", 4095, True), ("uint16", 65535, False), ("int32", 255, False)]
)
def test_gray_values_of_another_range_look_wrong(tmp_path, dtype, top, wrong):
    pixels = np.linspace(0, top, SIZE[0] * SIZE[1]).reshape(SIZE[::-1]).astype(dtype)
    root = write_voc(tmp_path)
    (root / "JPEGImages/a.jpg").unlink()
    file = root / "JPEGImages" / ("a.tif" if dtype == "int32" else "a.png")
    Image.fromarray(pixels).save(file)
    report = check(root)
    assert [note.kind for note in report.dataset.notes] == ["looks wrong"] * wrong
    assert (open_image(file).max() == 255) == (not wrong)


def test_a_set_with_a_fault_of_every_kind_gives_all_the_rest(tmp_path):
    """And check lists what was done, as text and as JSON."""
    bad = [
        {"segmentation": [[]]},
        {"bbox": [1, 1, 0, 5]},
        {"bbox": None},
        {"category_id": 99},
        {"iscrowd": "maybe"},
        {"bbox": [50, 5, 20, 20]},
        {"bbox": ["1", 1, 5, 5]},
        {"image_id": 12345},
    ]
    root = coco_of(tmp_path, {}, *bad)
    report = check(root)
    assert report.faults == ()
    assert len(report.dataset[0]) == 3
    listed = report.as_dict()["notes"]
    assert sorted(note["kind"] for note in listed) == ["left out"] * 7 + ["repaired"]
    assert all("annotation" in note["reason"] for note in listed)
    strict = check(root, strict=True)
    assert len(strict.faults) == 8


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\\\:"), min_size=1, max_size=12
).filter(lambda name: name == name.strip() and name.strip(".") and not name.startswith("."))


@given(st.lists(NAMES, min_size=1, max_size=4, unique_by=lambda name: os.path.normcase(name).casefold()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_any_names_go_from_format_to_format_and_come_back(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    table = ClassTable(("cat",))
    photo = write_photo(folder / "photo.jpg")
    records = [make_record(name, photo, SIZE, [AnnotatedObject((5, 5, 20, 20), 1)]) for name in names]
    expected = None
    for number, target in enumerate(("voc", "coco", "yolo", "labelme", "voc")):
        out = folder / str(number)
        WRITERS[target](records, table, out, "train")
        dataset = read_dataset(out, "train", target, strict=True)
        found = sorted(record.image_id for record in dataset)
        expected = found if expected is None else expected
        assert found == expected
        assert len(found) == len(names)
        records = list(dataset)
