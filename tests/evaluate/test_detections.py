import json

import numpy as np
import pytest

from bana.data.reading import read_dataset
from bana.errors import DataError
from bana.evaluate.detections import DetectionResults
from coco_samples import decoded, rle_of, run_lengths, write_truth

HEIGHT, WIDTH = 6, 8
MASK = np.zeros((HEIGHT, WIDTH), dtype=bool)
MASK[1:4, 2:7] = True


@pytest.fixture
def coco_root(tmp_path):
    content = {
        "images": [{"id": number, "file_name": f"{number}.png", "height": 6, "width": 8} for number in (7, 9)],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 18,
                "segmentation": rle_of(MASK),
                "bbox": [2, 1, 5, 3],
                "area": 15,
                "iscrowd": 0,
            }
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    write_truth(tmp_path, content)
    return tmp_path


def result(**changed):
    entry = {"image_id": 7, "category_id": 18, "score": 0.5, "segmentation": rle_of(MASK)}
    return {key: value for key, value in (entry | changed).items() if value is not None}


def read(root, entries):
    file = root / "results.json"
    file.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    dataset = read_dataset(root, "val")
    return DetectionResults(file, dataset), {record.source_id: record for record in dataset}


def test_numbers_become_class_ids_and_order_is_kept(coco_root):
    entries = [result(score=0.25), result(image_id=9, category_id=3, score=1), result(score=-4.5)]
    detections, records = read(coco_root, entries)
    assert len(detections) == 3
    assert [(each.class_id, each.score, each.area) for each in detections.of(records[7])] == [
        (2, 0.25, None),
        (2, -4.5, None),
    ]
    assert [each.class_id for each in detections.of(records[9])] == [1]


@pytest.mark.parametrize("name", ["7", "7.png", "photos/7", "photos/7.png"])
def test_text_is_a_file_name_and_then_classes_are_counted(coco_root, name):
    detections, records = read(coco_root, [result(image_id=name, category_id=2), result()])
    assert [each.class_id for each in detections.of(records[7])] == [2, 2]


def test_two_pictures_of_one_name_are_refused(coco_root):
    entries = [result(image_id=f"{folder}/7", category_id=1) for folder in "ab"]
    with pytest.raises(DataError, match="'b/7' and 'a/7' both are image 7"):
        read(coco_root, entries)


def test_an_annotation_file_names_images_and_classes(coco_root):
    """Its numbers are its own; crowd regions and objects without a pixel predict nothing."""
    box = {"bbox": [0, 0, 8, 6]}
    empty = rle_of(np.zeros_like(MASK))
    content = {
        "images": [{"id": 1, "file_name": "9.png"}, {"id": 2, "file_name": "train/7.png"}],
        "categories": [{"id": 5, "name": "cat"}, {"id": 6, "name": "dog"}],
        "annotations": [
            result(image_id=2, category_id=6) | box,
            result(image_id=2, category_id=6, segmentation=empty),
            result(image_id=1, category_id=5, iscrowd=1),
            result(image_id=1, category_id=5, score=None, segmentation=[[2, 1, 7, 1, 7, 4, 2, 4]]),
        ],
    }
    detections, records = read(coco_root, json.dumps(content))
    assert [(each.class_id, each.score, each.area) for each in detections.of(records[7])] == [(2, 0.5, None)]
    (found,) = detections.of(records[9])
    assert (found.class_id, found.score) == (1, 1.0)
    np.testing.assert_array_equal(decoded(found.mask, (HEIGHT, WIDTH)), MASK)


@pytest.mark.parametrize("encode", [rle_of, run_lengths])
def test_both_kinds_of_rle_give_the_mask(coco_root, encode):
    detections, records = read(coco_root, [result(segmentation=encode(MASK))])
    (found,) = detections.of(records[7])
    np.testing.assert_array_equal(decoded(found.mask, (HEIGHT, WIDTH)), MASK)
    assert detections.of(records[9]) == []


def test_the_first_entry_says_whether_boxes_are_areas(coco_root):
    detections, records = read(coco_root, [result(bbox=[0, 0, 2, 3.5]), result(bbox=[1, 1, 2, 1])])
    assert [each.area for each in detections.of(records[7])] == [7.0, 2.0]
    detections, records = read(coco_root, [result(bbox=[0, 0, 10**299, 10**299])])
    assert [each.area for each in detections.of(records[7])] == [float("inf")]
    for first in (result(), result(bbox=[])):
        detections, records = read(coco_root, [first, result(bbox=[1, 1, 2, 1])])
        assert [each.area for each in detections.of(records[7])] == [None, None]


RLE = rle_of(MASK)
BAD = {
    "an unknown image": (result(image_id=8), "entry 1: image_id 8 is none of the 2 images of"),
    "an unknown name": (result(image_id="8.png"), "entry 1: image_id '8.png' is none of the 2 images of"),
    "a category of an image by name": (result(image_id="7"), "entry 1: category_id 18 is no category of"),
    "an image by truth value": (result(image_id=True), "entry 1: 'image_id' is a bool, not a whole number"),
    "no image": (result(image_id=None), "entry 1: has no 'image_id'; add it"),
    "an unknown category": (result(category_id=1), "entry 1: category_id 1 is no category of"),
    "a category by name": (result(category_id="dog"), "entry 1: 'category_id' is a str"),
    "no score": (result(score=None), "entry 1: has no 'score'; add it"),
    "a score that is text": (result(score="0.5"), "entry 1: score '0.5' is not a finite number"),
    "no mask": (result(segmentation=None), "entry 1: has no mask as RLE; give"),
    "polygons": (result(segmentation=[[0, 0, 4, 0, 4, 4]]), "entry 1: has no mask as RLE; give"),
    "an RLE of another size": (
        result(segmentation=RLE | {"size": [WIDTH, HEIGHT]}),
        "entry 1: RLE mask has size [8, 6], but the image is 8x6",
    ),
    "an RLE without size": (result(segmentation={"counts": RLE["counts"]}), "entry 1: RLE mask has size None"),
    "an RLE without counts": (result(segmentation={"size": [6, 8]}), "entry 1: RLE mask has no counts"),
    "a damaged RLE": (result(segmentation=RLE | {"counts": "Q1"}), "entry 1: RLE counts do not add up"),
    "runs that do not add up": (result(segmentation={"size": [6, 8], "counts": [40, 9]}), "entry 1: RLE counts do not"),
    "negative runs": (result(segmentation={"size": [6, 8], "counts": [50, -2]}), "entry 1: RLE counts must be whole"),
    "a list": ([1, 2], "entry 1: is a list, not an object with keys"),
}


@pytest.mark.parametrize(("entry", "said"), BAD.values(), ids=BAD)
def test_a_bad_entry_is_one_line_and_status_2(run_cli, coco_root, entry, said):
    file = coco_root / "results.json"
    file.write_text(json.dumps([result(), entry]))
    done = run_cli("evaluate", file, coco_root, "--split", "val", "--json")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"bana: error: {file}: {said}")
    assert done.err.count("\n") == 1


FILES = {
    "an object": ('{"scores": []}', "results.json: is not a JSON list (it begins with '{')"),
    "no categories": ('{"images": []}', "results.json: has no 'categories'; add it"),
    "an empty file": ("", "results.json: is not a JSON list (it is empty)"),
    "a truncated file": (json.dumps([result()] * 3)[:-20], "results.json: line 1: is not JSON"),
    "NaN for a score": (json.dumps([result(), result(score=float("nan"))]), "entry 1 is not strict JSON (NaN is not"),
    "an infinite score": (
        json.dumps([result(score=9.5)]).replace("9.5", "1e999"),
        "entry 0: score inf is not a finite",
    ),
    "a box missing": ([result(bbox=[0, 0, 1, 1]), result()], "entry 1: has no bbox, but the first entry has one"),
    "a box of three numbers": ([result(bbox=[0, 0, 1])], "entry 0: bbox must be four numbers"),
    "no box": ([result() | {"bbox": None}], "entry 0: 'bbox' is a NoneType, not a list"),
}


@pytest.mark.parametrize(("content", "said"), FILES.values(), ids=FILES)
def test_bad_files(coco_root, content, said):
    with pytest.raises(DataError) as raised:
        read(coco_root, content)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file(run_cli, coco_root):
    done = run_cli("evaluate", coco_root / "missing.json", coco_root, "--split", "val")
    assert done.status == 2
    assert "missing.json: cannot be read (No such file or directory)" in done.err


def test_other_formats_name_images_by_text(voc_folder, tmp_path):
    dataset = read_dataset(voc_folder, "val")
    for image_id, said in ((7, "'image_id' is a int, not text"), ("three", "image_id 'three' is none of the 2 images")):
        (tmp_path / "results.json").write_text(json.dumps([result(image_id=image_id, category_id=1)]))
        with pytest.raises(DataError, match=said):
            DetectionResults(tmp_path / "results.json", dataset)


def test_a_long_list_of_categories_is_cut_in_messages(voc_folder, tmp_path):
    (voc_folder / "labels.txt").write_text("\n".join(["cat", "dog", *(f"c{number}" for number in range(20))]) + "\n")
    (tmp_path / "results.json").write_text(json.dumps([result(image_id="two", category_id=0)]))
    with pytest.raises(DataError, match=r"use its ids 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, \.\.\.$"):
        DetectionResults(tmp_path / "results.json", read_dataset(voc_folder, "val"))
