import numpy as np
import pytest
from PIL import Image

from bana.data.check import check
from bana.data.masks import encode_mask
from bana.errors import DataError
from data_samples import SIZE, coco_content, voc_object, voc_xml, write_coco, write_voc, write_yolo


def test_the_contents_are_counted(tmp_path):
    difficult = "<difficult>1</difficult>"
    images = {
        "a": voc_xml(voc_object("cat", (1, 1, 10, 10)), voc_object("dog", (11, 1, 30, 20), difficult)),
        "b": voc_xml(voc_object("cat", (1, 1, 60, 40)), voc_object("cat", (1, 1, 40, 40))),
        "c": voc_xml(),
        "d": voc_xml(voc_object("cat", (1, 1, 60, 36))),
    }
    report = check(write_voc(tmp_path, images))
    counts = {count.name: (count.boxes, count.images) for count in report.classes if count.boxes}
    assert counts == {"cat": (4, 3), "dog": (1, 1)}
    assert (len(report.dataset), report.boxes, report.difficult, report.crowd) == (4, 5, 1, 0)
    assert (report.without_boxes, report.all_covered, report.little_background) == (1, 1, 1)
    boxes_to_mask = (500 / 2400 + 1 + 0 + 0.9) / 4
    assert report.background_share == pytest.approx(1 - boxes_to_mask)
    assert (report.box_sides[0], report.box_sides[-1]) == (10, pytest.approx(2400**0.5))
    assert report.image_sides == pytest.approx([2400**0.5] * 5)
    assert report.faults == ()


def test_masks_crowds_and_label_maps_are_counted(tmp_path):
    content = coco_content()
    content["annotations"][0]["segmentation"] = encode_mask(np.ones(SIZE[::-1], dtype=bool))
    report = check(write_coco(tmp_path / "coco", content))
    assert (report.masks, report.crowd, report.label_maps) == (1, 1, 0)
    write_voc(tmp_path / "voc")
    (tmp_path / "voc/SegmentationClass").mkdir()
    Image.new("P", SIZE).save(tmp_path / "voc/SegmentationClass/a.png")
    assert check(tmp_path / "voc").label_maps == 1


def test_every_fault_is_found_in_one_go(tmp_path):
    images = {name: voc_xml(voc_object(), filename=f"{name}.jpg") for name in "abcdefg"}
    images["b"] = voc_xml(voc_object(box=(9, 9, 1, 1)), voc_object(box=(70, 1, 80, 9)))
    images["c"] = "<annotation>"
    write_voc(tmp_path, images, {"Main/train": [*images, "nowhere"]})
    (tmp_path / "JPEGImages/d.jpg").unlink()
    photo = tmp_path / "JPEGImages/e.jpg"
    photo.write_bytes(photo.read_bytes()[:-500])
    Image.new("RGB", (40, 60)).save(tmp_path / "JPEGImages/f.jpg")
    (tmp_path / "SegmentationClass").mkdir()
    Image.new("P", (5, 5)).save(tmp_path / "SegmentationClass/g.png")
    report = check(tmp_path, "train", strict=True)
    assert [record.image_id for record in report.dataset] == ["a"]
    found = [(fault.image_id, word) for fault in report.faults for word in FAULTS if word in fault.reason]
    assert sorted(found) == [
        ("b", "inverted"),
        ("b", "lies outside"),
        ("c", "not well-formed"),
        ("d", "is not in"),
        ("e", "damaged"),
        ("f", "image is 40x60 but its annotation says 60x40"),
        ("g", "map is 5x5"),
        ("nowhere", "annotation not found"),
    ]
    assert len(report.faults) == len(found)


FAULTS = (
    "inverted",
    "lies outside",
    "not well-formed",
    "is not in",
    "damaged",
    "image is 40x60 but its annotation says 60x40",
    "map is 5x5",
    "annotation not found",
)


def test_no_boxes_at_all_is_a_fault_and_no_image_an_error(tmp_path):
    report = check(write_yolo(tmp_path / "yolo", {"a": "", "b": ""}))
    assert [fault.reason for fault in report.faults] == [
        f"{tmp_path / 'yolo'}: has no boxes in 2 images; add annotations"
    ]
    write_coco(tmp_path / "coco", {"images": [], "annotations": [], "categories": []})
    with pytest.raises(DataError, match="has 0 images"):
        check(tmp_path / "coco")


def test_the_report_is_json(tmp_path):
    content = check(write_coco(tmp_path)).as_dict()
    assert content["classes"] == {"cat": {"boxes": 1, "images": 1}, "dog": {"boxes": 1, "images": 1}}
    assert (content["format"], content["split"], content["crowd"], content["faults"]) == ("coco", None, 1, [])
