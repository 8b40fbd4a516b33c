import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bana import read_dataset
from bana.data.formats import voc
from bana.data.paths import FolderFiles
from bana.errors import DataError
from bana.io.faults import FaultLog
from data_samples import SIZE, voc_object, voc_xml, write_photo, write_voc

DIFFICULT = "<difficult>1</difficult>"
PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((11, 6, 30, 25), (10, 5, 30, 25)),
        ((1, 1, 60, 40), (0, 0, 60, 40)),
        ((5, 5, 5, 5), (4, 4, 5, 5)),
        (("45.7", "6.25", "50", "25.5"), (44.7, 5.25, 50, 25.5)),
        ((0, 0, 60, 40), (0, 0, 60, 40)),  # 0-based tools write 0: a rounding error outside
        ((1, 1, 61, 41), (0, 0, 60, 40)),
        ((" 11 ", "6", "30", "25\n"), (10, 5, 30, 25)),
    ],
)
def test_corners_become_pixel_edges(tmp_path, corners, expected):
    record = read_dataset(write_voc(tmp_path, {"a": voc_xml(voc_object(box=corners))}))[0]
    np.testing.assert_allclose(record.boxes, [expected], atol=1e-5)
    assert record.boxes.dtype == np.float32


def test_a_record_has_all_that_the_folder_has(tmp_path):
    xml = voc_xml(voc_object("person", extra=PART), voc_object("cat", (2, 2, 9, 9), DIFFICULT))
    write_voc(tmp_path, {"a": xml}, {"Main/train": ["a"]})
    for folder in ("SegmentationClass", "SegmentationObject"):
        (tmp_path / folder).mkdir()
        Image.new("P", SIZE).save(tmp_path / folder / "a.png")
    dataset = read_dataset(tmp_path, "train")
    record = dataset[0]
    assert (dataset.format, dataset.split, dataset.classes) == ("voc", "train", voc.CLASSES)
    assert (record.image_id, record.path, record.width, record.height) == ("a", tmp_path / "JPEGImages/a.jpg", *SIZE)
    assert record.class_ids.tolist() == [15, 8]
    assert record.difficult.tolist() == [False, True]
    assert record.crowd.tolist() == [False, False]
    assert record.segmentations == (None, None)
    assert record.semantic_path == tmp_path / "SegmentationClass/a.png"
    assert record.instance_path == tmp_path / "SegmentationObject/a.png"


def test_class_ids_do_not_depend_on_the_split(tmp_path):
    images = {"a": voc_xml(voc_object("zebra")), "b": voc_xml(voc_object("ant")), "c": voc_xml(voc_object("cat"))}
    write_voc(tmp_path, images, {"Main/train": ["a"], "Main/val": ["b"]})
    for split in ("train", "val", None):
        assert read_dataset(tmp_path, split).classes == ("ant", "cat", "zebra")


@pytest.mark.parametrize("name", ["labels.txt", "classes.txt"])
def test_a_class_list_beside_the_annotations_is_the_order(tmp_path, name):
    write_voc(tmp_path, {"a": voc_xml(voc_object("cat"))})
    (tmp_path / name).write_text("__ignore__\n_background_\nzebra\ncat\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.classes, dataset[0].class_ids.tolist()) == (("zebra", "cat"), [2])


def test_splits(tmp_path):
    xml = voc_xml(voc_object())
    lists = {"Main/train": ["b", "a"], "Segmentation/train": ["b"], "Main/cat_val": ["a  1", "b -1", "c  0"]}
    write_voc(tmp_path, {"a": xml, "b": xml, "c": xml}, lists)

    def ids(split):
        return [record.image_id for record in read_dataset(tmp_path, split)]

    assert ids(None) == ["a", "b", "c"]
    assert ids("train") == ["b"]
    assert ids("Main/train") == ["b", "a"]
    assert ids("cat_val") == ["a", "c"]
    with pytest.raises(DataError, match="has no split 'test'; choose one of: train, cat_val"):
        ids("test")


def test_the_only_list_is_read_without_naming_it(tmp_path):
    xml = voc_xml(voc_object())
    dataset = read_dataset(write_voc(tmp_path, {"a": xml, "b": xml}, {"Main/val": ["b"]}))
    assert (dataset.split, len(dataset)) == ("val", 1)


def test_devkit_roots_and_plain_folders(tmp_path):
    devkit = tmp_path / "devkit"
    write_voc(devkit / "VOCdevkit" / "VOC2012")
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a.xml").write_text(voc_xml(voc_object(), filename="a"))
    write_photo(plain / "a.png")
    roots = (devkit, devkit / "VOCdevkit", devkit / "VOCdevkit" / "VOC2012", plain)
    assert [read_dataset(root)[0].image_id for root in roots] == ["a"] * 4
    write_voc(devkit / "VOCdevkit" / "VOC2007")
    with pytest.raises(DataError, match="holds VOC2007, VOC2012; give the folder of one"):
        read_dataset(devkit)


def test_a_missing_size_is_read_from_the_image(tmp_path):
    for number, size in enumerate(("", "<size><width>0</width><height>0</height></size>")):
        xml = f"<annotation>{size}{voc_object()}</annotation>"
        record = read_dataset(write_voc(tmp_path / str(number), {"a": xml}))[0]
        assert (record.width, record.height) == SIZE


def test_the_image_is_the_one_of_the_same_name_else_the_one_that_the_annotation_names(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(voc_object()), "b": voc_xml(voc_object(), filename="a.jpg")})
    assert [record.path.name for record in read_dataset(tmp_path)] == ["a.jpg", "b.jpg"]
    (tmp_path / "JPEGImages/b.jpg").unlink()
    assert [record.path.name for record in read_dataset(tmp_path)] == ["a.jpg", "a.jpg"]


def test_an_image_without_objects_is_a_record(tmp_path):
    dataset = read_dataset(write_voc(tmp_path, {"a": voc_xml(), "b": voc_xml(voc_object())}))
    assert [len(record) for record in dataset] == [0, 1]
    assert dataset[0].boxes.shape == (0, 4)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotation><filename>&b;</filename></annotation>'
BAD = [
    ("<annotation><object>", r"a\.xml: is not well-formed XML .*line 1"),
    ("", r"a\.xml: is not well-formed XML"),
    (BOMB, r"a\.xml: declares a DTD or entities"),
    (voc_xml(voc_object(box=(50, 6, 20, 25))), r"a\.xml: object 1: box .* is inverted"),
    (voc_xml(voc_object(), voc_object(box=(8, 6, 7, 25))), r"a\.xml: object 2: box .* is empty"),
    (voc_xml(voc_object(box=("nan", 6, 20, 25))), r"a\.xml: object 1: box .* is not finite"),
    (voc_xml(voc_object(box=("inf", 6, 20, 25))), r"a\.xml: object 1: box .* is not finite"),
    (voc_xml(voc_object(box=("x", 6, 20, 25))), r"a\.xml: object 1: xmin is 'x', not a number"),
    (voc_xml(voc_object(box=(1, 1, 62, 40))), r"a\.xml: object 1: box .* reaches out of the 60x40 image"),
    (voc_xml(voc_object(box=(70, 50, 80, 60))), r"a\.xml: object 1: box .* lies outside"),
    (voc_xml(voc_object(name="")), r"a\.xml: object 1: has no class name"),
    (voc_xml("<object><name>cat</name></object>"), r"a\.xml: object 1: has no <bndbox>"),
    (voc_xml(voc_object(), size=("x", 40)), r"a\.xml: <size>: width is 'x'"),
    (voc_xml(voc_object(), size=("inf", 40)), r"a\.xml: <size>: size infx40 is not one that an image can have"),
    (voc_xml(voc_object(), size=(-60, 40)), r"a\.xml: <size>: size -60x40 is not one"),
]


@pytest.mark.parametrize(("xml", "message"), BAD)
def test_a_bad_annotation_is_named_with_its_place(tmp_path, xml, message):
    write_voc(tmp_path, {"a": xml, "b": voc_xml(voc_object())})
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(tmp_path, strict=True)
    assert "\n" not in str(caught.value)
    dataset = read_dataset(tmp_path, on_error="skip", strict=True)
    assert [record.image_id for record in dataset] == ["b"]
    assert [each.image_id for each in dataset.rejected] == ["a"]


def test_every_fault_of_an_image_is_noted(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(voc_object(box=(9, 9, 1, 1)), voc_object(), voc_object(box=(70, 1, 90, 9)))})
    faults = FaultLog("skip", strict=True)
    voc.read(tmp_path, None, faults, FolderFiles())
    assert [fault.reason.split(": ")[1] for fault in faults.faults] == ["object 1", "object 3"]
    assert faults.rejected()[0].reason.endswith("(and 1 more)")


def test_unknown_class_missing_image_and_missing_annotation(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(voc_object())}, {"Main/train": ["a", "b"]})
    with pytest.raises(DataError, match=r"b\.xml: annotation not found"):
        read_dataset(tmp_path, "train", strict=True)
    (tmp_path / "labels.txt").write_text("dog\n")
    with pytest.raises(DataError, match=r"a\.xml: object 1: class 'cat' is not in the class list"):
        read_dataset(tmp_path, "train", strict=True)
    (tmp_path / "labels.txt").unlink()
    (tmp_path / "JPEGImages/a.jpg").unlink()
    with pytest.raises(DataError, match=r"a\.xml: image 'a\.jpg' is not in "):
        read_dataset(tmp_path, "train", strict=True)


def test_a_broken_annotation_outside_the_split_does_not_matter(tmp_path):
    write_voc(tmp_path, {"a": voc_xml(voc_object()), "b": "<annotation>"}, {"Main/train": ["a"]})
    assert len(read_dataset(tmp_path, "train")) == 1


def test_a_list_that_leaves_the_folder_is_refused(tmp_path):
    write_voc(tmp_path, lists={"Main/train": ["../none"]})
    with pytest.raises(DataError, match=r"train\.txt: line 1: .* leaves the image folder"):
        read_dataset(tmp_path, "train", strict=True)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: voc_xml(text).encode()))
def test_any_bytes_are_an_annotation_or_a_data_error(tmp_path, content):
    write_voc(tmp_path, {"b": voc_xml(voc_object())})
    (tmp_path / "Annotations/b.xml").write_bytes(content)
    dataset = voc.read(tmp_path, None, FaultLog("skip"), FolderFiles())
    assert len(dataset.records) + len(dataset.rejected) == 1


def test_huge_text_and_deep_nesting_are_no_more_than_a_wrong_name(tmp_path):
    for name in ("x" * 1_000_000, "<a>" * 50_000 + "</a>" * 50_000):
        write_voc(tmp_path, {"a": voc_xml(voc_object(name))})
        (tmp_path / "labels.txt").write_text("cat\n")
        with pytest.raises(DataError, match=r"a\.xml: object 1: ") as caught:
            read_dataset(tmp_path, strict=True)
        assert len(str(caught.value)) < 1000
