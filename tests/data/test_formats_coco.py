import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bana import read_dataset
from bana.data.formats import coco
from bana.data.masks import decode_mask, encode_mask
from bana.data.paths import FolderFiles
from bana.errors import DataError
from bana.io.faults import FaultLog
from data_samples import SIZE, blob, coco_content, write_coco, write_photo

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coco_reader.py"


def changed(**changes):
    """The sample with ``images__0__id=3`` and the like set; ``...`` removes the key."""
    content = coco_content()
    for path, value in changes.items():
        *parents, last = (int(key) if key.isdigit() else key for key in path.split("__"))
        target = content
        for key in parents:
            target = target[key]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return content


def test_a_record_has_all_that_the_file_has(tmp_path):
    dataset = read_dataset(write_coco(tmp_path))
    record = dataset[0]
    assert (dataset.format, dataset.split) == ("coco", None)
    assert (dataset.classes, dataset.class_table.source_ids) == (("cat", "dog"), (3, 18))
    assert (record.image_id, record.path, record.width, record.height) == ("a", tmp_path / "images/a.jpg", *SIZE)
    assert record.boxes.tolist() == [[10, 5, 30, 25], [40.5, 10, 50.75, 30]]
    assert record.class_ids.tolist() == [1, 2]
    assert record.crowd.tolist() == [False, True]
    assert (record.source_id, record.object_ids, record.scores, record.areas) == (7, (70, 71), None, None)
    assert record.segmentations == (None, None)


def test_stated_areas_are_kept(tmp_path):
    record = read_dataset(write_coco(tmp_path, changed(annotations__1__area=12.25)), strict=True)[0]
    np.testing.assert_array_equal(record.areas, [np.nan, 12.25])
    assert read_dataset(write_coco(tmp_path, changed(annotations__1__area="12")))[0].areas is None  # nothing reads it


def test_masks_in_every_form_are_the_same_mask(tmp_path):
    mask = np.zeros(SIZE[::-1], dtype=bool)
    mask[5:25, 10:30] = True
    runs = np.diff(np.flatnonzero(np.diff(mask.ravel(order="F").astype(int), prepend=0, append=0))).tolist()
    first = 10 * SIZE[1] + 5
    counts = [first, *runs, mask.size - first - sum(runs)]
    forms = [encode_mask(mask), {"size": [40, 60], "counts": counts}, [[10, 5, 30, 5, 30, 25, 10, 25]]]
    for number, form in enumerate(forms):
        record = read_dataset(write_coco(tmp_path / str(number), changed(annotations__0__segmentation=form)))[0]
        np.testing.assert_array_equal(decode_mask(record.segmentations[0], record.height, record.width), mask)
        assert isinstance(record.segmentations[0], list) or isinstance(record.segmentations[0]["counts"], str)


def test_scores_are_read_when_every_object_has_one(tmp_path):
    content = changed(annotations__0__score=0.25, annotations__1__score=1)
    assert read_dataset(write_coco(tmp_path / "all", content))[0].scores.tolist() == [0.25, 1]
    assert read_dataset(write_coco(tmp_path / "one", changed(annotations__0__score=0.25)))[0].scores is None


def test_images_without_annotations_are_records(tmp_path):
    content = coco_content()
    content["images"].insert(0, {"id": 1, "file_name": "sub/b.jpg"})
    write_photo(tmp_path / "images" / "sub" / "b.jpg")
    dataset = read_dataset(write_coco(tmp_path, content))
    assert [(record.image_id, len(record)) for record in dataset] == [("sub/b", 0), ("a", 2)]
    assert (dataset[0].width, dataset[0].height) == SIZE


def test_categories_of_one_name_are_one_class(tmp_path):
    content = coco_content()
    content["categories"].append({"id": 20, "name": "cat"})
    content["annotations"][0]["category_id"] = 20
    dataset = read_dataset(write_coco(tmp_path, content))
    assert (dataset.class_table.source_ids, dataset[0].class_ids.tolist()) == ((3, 18), [1, 2])


@pytest.mark.parametrize(
    ("file", "image", "split"),
    [
        ("annotations/instances_train2017.json", "train2017/a.jpg", "train2017"),
        ("annotations/instances_train.json", "train2017/a.jpg", "train"),
        ("annotations/instances_train.json", "images/train/a.jpg", "train"),
        ("annotations/train.json", "images/a.jpg", "train"),
        ("train/_annotations.coco.json", "train/a.jpg", "train"),
        ("instances.json", "images/a.jpg", None),
        ("instances.json", "a.jpg", None),
        ("annotations/instances.json", "images/a.jpg", None),
    ],
)
def test_usual_layouts_are_found(tmp_path, file, image, split):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(json.dumps(coco_content()))
    write_photo(tmp_path / image)
    for path in (tmp_path, tmp_path / file):
        dataset = read_dataset(path)
        assert (dataset.format, dataset.split, dataset[0].path) == ("coco", split, tmp_path / image)
    if split:
        assert read_dataset(tmp_path, split).split == split


def test_splits_are_listed_when_one_is_missing_or_unknown(tmp_path):
    for split in ("train", "val"):
        file = tmp_path / "annotations" / f"instances_{split}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(coco_content()))
        (file.parent / f"captions_{split}.json").write_text("{}")
    with pytest.raises(DataError, match="several splits; choose one with --split: train, val"):
        read_dataset(tmp_path)
    with pytest.raises(DataError, match="no split 'test'; choose one of: train, val"):
        read_dataset(tmp_path, "test")
    write_coco(tmp_path / "whole")
    with pytest.raises(DataError, match="has no splits"):
        read_dataset(tmp_path / "whole", "train")


OF_FILE = [
    ('{"images": [', r"instances\.json: line 1: is not JSON"),
    ("[]", "holds a list"),
    ('{"images": NaN}', "'images' is a float, not a list"),
    ("[" * 100_000, "not strict JSON|not JSON|holds"),
    (changed(categories=...), "has no 'categories'"),
    (changed(images={}), "'images' is a dict, not a list"),
    (changed(categories__0__id=[1]), r"categories\[0\]: 'id' is a list, not a whole number"),
    (changed(categories__1__id=18), r"categories\[1\]: id 18 is used twice"),
]


@pytest.mark.parametrize(("content", "message"), OF_FILE)
def test_a_bad_file_is_refused_whole(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(write_coco(tmp_path, content) / "instances.json", on_error="skip", strict=True)
    assert str(caught.value).startswith(str(tmp_path / "instances.json"))


OF_IMAGE = [
    (changed(annotations__0__bbox=[30, 5, -20, 20]), "annotation 70: box .* is inverted"),
    (changed(annotations__0__bbox=[10, 5, 0, 20]), "annotation 70: box .* is empty"),
    (changed(annotations__0__bbox=[10, 5, 60, 20]), "annotation 70: box .* reaches out of the 60x40"),
    (changed(annotations__0__bbox=[-2, 5, 10, 20]), "annotation 70: box .* reaches out of the 60x40"),
    (changed(annotations__0__bbox=[70, 5, 10, 20]), "annotation 70: box .* lies outside the 60x40"),
    (changed(annotations__0__bbox=[10, 5, 20]), "annotation 70: bbox must be four numbers"),
    (changed(annotations__0__bbox=[10, 5, 20, None]), "annotation 70: bbox must be four numbers"),
    (changed(annotations__0__bbox=...), "annotation 70: has no 'bbox'"),
    (changed(annotations__0__category_id=5), "annotation 70: category_id 5 is not in categories"),
    (changed(annotations__0__score="high"), "annotation 70: 'score' is a str, not a number"),
    (changed(annotations__0__segmentation=[[1, 2, 3]]), "annotation 70: a polygon has 3 numbers"),
    (changed(annotations__1__id=70), "annotation 70: id 70 is used twice"),
    (changed(images__0__file_name="../a.jpg"), "image 7: file name '../a.jpg' leaves the image folder"),
    (changed(images__0__file_name="/tmp/a.jpg"), "image 7: file name '/tmp/a.jpg' leaves the image folder"),
    (changed(images__0__file_name="C:\\a.jpg"), "image 7: file name .* leaves the image folder"),
    (changed(images__0__file_name=".."), "image 7: file name '..' leaves the image folder"),
    (changed(images__0__file_name="b.jpg"), r"image 7: image 'b\.jpg' is not in .*images"),
    (changed(images__0__file_name="b" * 5000), "image 7: image 'b*' is not in"),
    (changed(images__0__width=10**7), r"image 7: size 1e\+07x40 is not one"),
]


@pytest.mark.parametrize(("content", "message"), OF_IMAGE)
def test_a_fault_of_an_image_is_named_and_the_image_can_be_skipped(tmp_path, content, message):
    content["images"].append({"id": 99, "file_name": "good.jpg"})
    content["annotations"].append({"id": 990, "image_id": 99, "category_id": 3, "bbox": [0, 0, 5, 5]})
    write_photo(tmp_path / "images" / "good.jpg")
    write_coco(tmp_path, content)
    with pytest.raises(DataError, match=rf"instances\.json: {message}"):
        read_dataset(tmp_path, strict=True)
    dataset = read_dataset(tmp_path, on_error="skip", strict=True)
    assert [record.image_id for record in dataset] == ["good"]
    assert len(dataset.rejected) == 1


def test_two_images_of_one_id_or_one_name_are_both_left_out(tmp_path):
    for number, entry in enumerate(({"id": 7, "file_name": "b.jpg"}, {"id": 8, "file_name": "a.jpg"})):
        content = coco_content()
        content["images"].append(entry)
        write_coco(tmp_path / str(number), content)
        with pytest.raises(DataError, match=r"images\[1\]: (id 7 is used twice|another image is called 'a')"):
            read_dataset(tmp_path / str(number))
        dataset = coco.read(tmp_path / str(number), None, FaultLog("skip"), FolderFiles())
        assert (len(dataset), [each.image_id for each in dataset.rejected]) == (0, ["a"])


def test_images_that_differ_by_their_suffix_alone_keep_it_in_their_ids(tmp_path):
    content = coco_content()
    content["images"].append({"id": 8, "file_name": "a.png"})
    write_coco(tmp_path, content)
    write_photo(tmp_path / "images" / "a.png")
    assert [record.image_id for record in read_dataset(tmp_path, strict=True)] == ["a.jpg", "a.png"]


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        ("images", 3, r"images\[1\]: is a int, not an object"),
        ("images", {"id": 9}, r"images\[1\]: has no 'file_name'"),
        ("annotations", [], r"annotations\[2\]: is a list, not an object"),
        ("annotations", {"id": 5, "image_id": 4}, "annotation 5: image_id 4 is not in images"),
        ("annotations", {"id": [], "image_id": 7}, r"annotations\[2\]: 'id' is a list"),
    ],
)
def test_entries_that_belong_nowhere_are_faults(tmp_path, key, entry, message):
    content = coco_content()
    content[key].append(entry)
    write_coco(tmp_path, content)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path, strict=True)
    dataset = read_dataset(tmp_path, on_error="skip", strict=True)
    assert (len(dataset), len(dataset.rejected)) == (1, 1)


def test_random_masks_survive(tmp_path):
    mask = blob(3)
    record = read_dataset(write_coco(tmp_path, changed(annotations__0__segmentation=encode_mask(mask))))[0]
    np.testing.assert_array_equal(decode_mask(record.segmentations[0], *mask.shape), mask)


@pytest.mark.parametrize(
    ("polygon", "message"),
    [
        ([10, 5, 30, 5, 30, True], "a polygon must be a list of numbers"),
        ([10, 5, 30, 5, 30, 10**400], "a polygon must be a list of numbers"),
        ([10, 5, 30, 5, 30], "a polygon has 5 numbers"),
        ([10, 5, 30, 5, 30, 42], "a polygon lies outside the 60x40 image"),
        ([10, 5, 62, 5, 30, 25], "a polygon lies outside the 60x40 image"),
        ([-2, 5, 30, 5, 30, 25], "a polygon lies outside the 60x40 image"),
    ],
)
def test_one_bad_polygon_among_good_ones_is_named(tmp_path, polygon, message):
    good = [[10, 5, 30, 5, 30, 25]]
    content = changed(annotations__0__segmentation=good, annotations__1__segmentation=[*good, polygon])
    with pytest.raises(DataError, match=rf"instances\.json: annotation 71: {message}"):
        read_dataset(write_coco(tmp_path, content), strict=True)


def test_polygons_are_clipped_whatever_else_the_image_has(tmp_path):
    good, sticking_out = [[0, 0, 60, 0, 60, 40]], [[-0.5, 5, 60.75, 5, 30, 40.5]]
    content = changed(annotations__0__segmentation=good, annotations__1__segmentation=sticking_out)
    assert read_dataset(write_coco(tmp_path, content))[0].segmentations == (good, [[0, 5, 60, 5, 30, 40]])


@pytest.mark.parametrize("order", [("images", "annotations", "categories"), ("categories", "annotations", "images")])
def test_keys_in_any_order_and_keys_of_others_are_welcome(tmp_path, order):
    content = changed(annotations__0__counts=[2400], annotations__0__size=[40, 60], images__0__extra={"id": "x"})
    write_coco(tmp_path, {"info": {"segmentation": [1]}} | {key: content[key] for key in order})
    record = read_dataset(tmp_path)[0]
    assert (record.class_ids.tolist(), record.object_ids, record.segmentations) == ([1, 2], (70, 71), (None, None))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_of_json_is_read(tmp_path, encoding):
    write_coco(tmp_path, changed(categories__0__name="hünd"))
    text = json.dumps(changed(categories__0__name="hünd"), ensure_ascii=False)
    (tmp_path / "instances.json").write_bytes(text.encode(encoding))
    assert coco.read(tmp_path / "instances.json", None, FaultLog(), FolderFiles()).classes == ("cat", "hünd")


def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path):
    write_coco(tmp_path, changed(categories=...))
    for enabled in (False, True):
        (gc.enable if enabled else gc.disable)()
        try:
            with pytest.raises(DataError):
                read_dataset(tmp_path)
            assert gc.isenabled() == enabled
        finally:
            gc.enable()


@pytest.mark.slow
def test_a_file_of_the_size_of_coco_fits_in_memory(tmp_path):
    """By the program that measures it at length (see benchmarks/coco_reader.py)."""
    run = subprocess.run(
        [sys.executable, SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert run.returncode == 0, run.stderr
    found = re.fullmatch(r"\d+ MB, 118287 images, 860001 objects: .* peak (\d+) MB\n", run.stdout)
    assert found, run.stdout
    assert int(found[1]) < 3000


HUGE = [10**400, 1e308, -1e308, float("inf")]


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize(
    "key",
    [
        *("images__0__id", "annotations__0__id", "annotations__0__image_id"),
        *("annotations__0__category_id", "annotations__0__bbox__0", "annotations__0__bbox__2"),
        *("annotations__0__score", "categories__0__id"),
    ],
)
def test_huge_numbers_are_refused_in_one_line(tmp_path, key, value):
    write_coco(tmp_path, changed(**{key: value}))
    with pytest.raises(DataError, match=r"instances\.json: ") as caught:
        read_dataset(tmp_path, strict=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [900, 100_000])
@pytest.mark.parametrize("key", ["images", "annotations__0__segmentation"])
def test_deep_nesting_is_refused(tmp_path, key, depth):
    text = json.dumps(changed(**{key: "HERE"})).replace('"HERE"', "[" * depth + "]" * depth)
    write_coco(tmp_path, text)
    with pytest.raises(DataError, match=r"instances\.json: "):
        read_dataset(tmp_path, strict=True)


@pytest.mark.parametrize("key", ["categories__0__name", "images__0__file_name"])
def test_half_a_character_is_refused(tmp_path, key):
    write_coco(tmp_path, changed(**{key: "\ud800.jpg"}))
    with pytest.raises(DataError, match="has half a character"):
        read_dataset(tmp_path)


def test_a_size_of_billions_is_refused_before_anything_of_it_is_made(tmp_path):
    write_coco(tmp_path, changed(images__0__width=2_000_000_000, images__0__height=2_000_000_000))
    with pytest.raises(DataError, match=r"image 7: size 2e.09x2e.09 is not one that an image can have"):
        read_dataset(tmp_path)
