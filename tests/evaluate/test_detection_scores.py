import contextlib
import copy
import io
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bana.data.masks import encode_mask
from bana.data.reading import read_dataset
from bana.errors import DataError
from bana.evaluate import evaluate_detections
from coco_samples import (
    CATEGORIES,
    CROWDED,
    EMPTY,
    IMAGES,
    box_of,
    decoded,
    exact,
    results_of,
    rle_of,
    truth_content,
    write_truth,
)

NUMBERS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)
"""In the order in which COCO prints them."""


@pytest.fixture(scope="module")
def coco():
    return truth_content(np.random.default_rng(5))


@pytest.fixture(scope="module")
def coco_root(coco, tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    write_truth(root, coco)
    return root


@pytest.fixture(scope="module")
def dataset(coco_root):
    return read_dataset(coco_root, "val")


@pytest.fixture(scope="module")
def results(coco):
    return results_of(np.random.default_rng(6), coco, 500)


def with_boxes(results, factor=1.0):
    """The results with the boxes of their masks, ``factor`` times as wide."""
    boxes = [box_of(decoded(each["segmentation"], each["segmentation"]["size"])) for each in results]
    return [{**each, "bbox": [x, y, factor * w, h]} for each, (x, y, w, h) in zip(results, boxes, strict=True)]


def reference(content, results):
    """The twelve numbers and AP by category of pycocotools on the same file and results, all as percentages."""
    results = [  # of the area of uncompressed RLE pycocotools knows nothing
        {**each, "segmentation": rle_of(decoded(each["segmentation"], each["segmentation"]["size"]))}
        for each in results
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        true = COCO()
        true.dataset = copy.deepcopy(content)
        true.createIndex()
        whole = COCOeval(true, true.loadRes(results), "segm")
        whole.evaluate()
        whole.accumulate()
        whole.summarize()
    precision = whole.eval["precision"][:, :, :, 0, -1]
    per_class = {
        CATEGORIES[category]: 100 * precision[:, :, place].mean()
        for place, category in enumerate(whole.params.catIds)
        if (precision[:, :, place] > -1).any()
    }
    return dict(zip(NUMBERS, 100 * whole.stats, strict=True)), per_class


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_the_sample_has_all_that_matters(coco, results):
    annotations = coco["annotations"]
    assert len(coco["images"]) == IMAGES
    assert len({each["image_id"] for each in annotations}) == IMAGES - len(EMPTY)
    areas = np.array([each["area"] for each in annotations if not each["iscrowd"]])
    assert min(np.histogram(areas, [0, 32**2, 96**2, 1e5])[0]) >= 5
    assert sum(each["iscrowd"] for each in annotations) >= 10
    assert len(results) >= 500
    counts = Counter((each["image_id"], each["category_id"]) for each in results)
    assert counts[coco["images"][CROWDED]["id"], 3] > 120
    empty = {coco["images"][place]["id"] for place in EMPTY}
    assert sum(each["image_id"] in empty for each in results) >= 5
    assert len({each["score"] for each in results}) < len(results) / 3


@pytest.mark.parametrize("boxes", [None, 1.0, 1.7], ids=["no boxes", "boxes", "boxes of other areas"])
def test_all_numbers_are_those_of_pycocotools(tmp_path, coco, dataset, results, boxes):
    results = results if boxes is None else with_boxes(results, boxes)
    scores = evaluate_detections(write(tmp_path / "results.json", results), dataset).as_dict()
    numbers, per_class = reference(coco, results)
    ours = scores["instances"]
    assert ours.pop("per_class") == pytest.approx(per_class, abs=1e-6, rel=0)
    assert ours == pytest.approx(numbers, abs=1e-6, rel=0)
    assert len(set(ours.values())) == len(NUMBERS)
    assert (scores["images"], scores["detections"]) == (IMAGES, len(results))
    assert (scores["instances_derived"], scores["instances_unknown"]) == (0, 0)


def test_the_command_prints_the_same_in_another_process(tmp_path, coco, coco_root, results):
    file = write(tmp_path / "results.json", results)
    command = [sys.executable, "-m", "bana", "evaluate", file, coco_root, "--split", "val", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    ours = json.loads(done.stdout)["instances"]
    numbers, per_class = reference(coco, results)
    assert ours.pop("per_class") == pytest.approx(per_class, abs=1e-6, rel=0)
    assert ours == pytest.approx(numbers, abs=1e-6, rel=0)


def test_tables(run_cli, tmp_path, coco, coco_root, results):
    done = run_cli("evaluate", write(tmp_path / "results.json", results), coco_root, "--split", "val")
    assert (done.status, done.err) == (0, "")
    rows = [[cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")] for line in done.out.splitlines()]
    numbers, per_class = reference(coco, results)
    shown = [f"{value:.1f}" for value in numbers.values()]
    assert ["precision", *shown[:6]] in rows
    assert ["recall", *shown[6:]] in rows
    assert all([name, f"{value:.1f}"] in rows for name, value in per_class.items())
    assert "yak" not in done.out
    assert f"{IMAGES} images, {len(results)} detections" in done.out


def test_no_results_are_zero(run_cli, tmp_path, coco_root):
    done = run_cli("evaluate", write(tmp_path / "results.json", []), coco_root, "--split", "val", "--json")
    scores = json.loads(done.out)
    assert scores["detections"] == 0
    assert {scores["instances"][name] for name in NUMBERS} == {0.0}
    assert scores["instances"]["per_class"] == {"cat": 0.0, "bird": 0.0, "dog": 0.0}


def test_an_annotation_whose_id_is_zero_can_be_found(tmp_path, coco):
    """As pycocotools takes the id 0 for no match, its numbers are those of the same file with other ids."""
    content = copy.deepcopy(coco)
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
    write_truth(tmp_path, content)
    found = write(tmp_path / "results.json", list(exact(coco)))
    scores = evaluate_detections(found, read_dataset(tmp_path, "val"))
    assert scores.as_dict()["instances"]["ap"] == pytest.approx(reference(coco, list(exact(coco)))[0]["ap"])


def test_empty_masks_count_as_for_pycocotools(tmp_path, coco):
    """A predicted one is wrong; a true one is never found."""
    content = copy.deepcopy(coco)
    for annotation in content["annotations"][:30:3]:
        size = next(
            (each["height"], each["width"]) for each in content["images"] if each["id"] == annotation["image_id"]
        )
        annotation["segmentation"] = rle_of(np.zeros(size))
    write_truth(tmp_path, content)
    found = list(exact(content))
    scores = evaluate_detections(write(tmp_path / "results.json", found), read_dataset(tmp_path, "val")).as_dict()
    numbers, per_class = reference(content, found)
    assert scores["instances"] == pytest.approx({**numbers, "per_class": pytest.approx(per_class)})
    assert numbers["ap"] < 100


def voc_results():
    cat, dog = np.zeros((2, 6, 8), dtype=bool)
    cat[1:5, 1:5] = True
    dog[2:4, 2:5] = True  # 6 of 8 pixels
    return [
        {"image_id": "two", "category_id": 2, "score": 0.5, "segmentation": encode_mask(dog)},
        {"image_id": "pets/one", "category_id": 1, "score": 0.5, "segmentation": encode_mask(cat)},
    ]


def test_other_formats_have_image_ids_and_class_ids(run_cli, tmp_path, voc_folder):
    done = run_cli("evaluate", write(tmp_path / "results.json", voc_results()), voc_folder, "--split", "val", "--json")
    scores = json.loads(done.out)
    assert scores["instances"]["per_class"] == pytest.approx({"cat": 100.0, "dog": 60.0})
    assert (scores["instances"]["ap"], scores["instances"]["ar_large"]) == (pytest.approx(80.0), None)


def test_masks_of_objects_from_class_masks_are_counted(run_cli, tmp_path, voc_folder):
    (voc_folder / "SegmentationObject/two.png").unlink()
    file = write(tmp_path / "results.json", voc_results())
    done = run_cli("evaluate", file, voc_folder, "--split", "val")
    assert "true masks of 1 objects from class masks, 0 left out" in " ".join(done.out.split())


def test_images_without_true_masks(tmp_path, voc_folder):
    (voc_folder / "SegmentationObject/two.png").unlink()
    (voc_folder / "SegmentationClass/two.png").unlink()
    with pytest.raises(DataError, match="image two has no true mask"):
        evaluate_detections(write(tmp_path / "results.json", []), read_dataset(voc_folder, "val"))
