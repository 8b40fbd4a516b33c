import json
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bana import cli
from bana.data.label_maps import write_label_map
from bana.data.reading import read_dataset
from bana.errors import DataError
from bana.evaluate import evaluate_labels
from reference.evaluate_loops import boundary_counts

NAMES = ("background", "cat", "dog", "bird")

# Pixels: 28 + 40 of background, 16 of cat, 8 of dog, 4 void. y_crf takes 4 of cat for background, y_ret 2 of dog.
IOU = {
    "box": (100.0, 100.0, 100.0, None),
    "y_crf": (100 * 68 / 72, 75.0, 100.0, None),
    "y_ret": (100 * 68 / 70, 100.0, 75.0, None),
    "agreed": (100.0, 100.0, 100.0, None),
}
FOREGROUND = {"box": 100.0, "y_crf": 100 * 20 / 24, "y_ret": 100 * 22 / 24, "agreed": 100.0}


def run(capsys, monkeypatch, *arguments):
    """The exit status, standard output and standard error of the command."""
    monkeypatch.setattr(sys, "argv", ["bana", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    captured = capsys.readouterr()
    return end.value.code or 0, captured.out, captured.err


def test_json_has_the_numbers_computed_by_hand(label_folder, voc_folder):
    command = [sys.executable, "-m", "bana", "evaluate", label_folder, voc_folder, "--split", "val", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scores = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert scores["images"] == 2
    assert scores["absent_classes"] == ["bird"]
    for name, iou in IOU.items():
        assert scores[name]["per_class"] == pytest.approx(dict(zip(NAMES, iou, strict=True)))
        assert scores[name]["miou"] == pytest.approx(sum(iou[:3]) / 3)
        assert scores[name]["binary_iou"] == pytest.approx(FOREGROUND[name])
        assert scores[name]["binary_miou"] == pytest.approx((FOREGROUND[name] + iou[0]) / 2)
        assert scores[name]["ignored_share"] == pytest.approx(100 * 6 / 92 if name == "agreed" else 0.0)
    assert scores["instances"] == {
        "ap": pytest.approx(70.0),  # the cat's 11 of 16 pixels pass 0.50 to 0.65: 40; the dog is exact: 100
        "ap50": pytest.approx(100.0),
        "ap75": pytest.approx(50.0),
        "ap_small": pytest.approx(70.0),
        "ap_medium": None,
        "ap_large": None,
        "per_class": pytest.approx({"cat": 40.0, "dog": 100.0}),
    }
    assert (scores["instances_derived"], scores["instances_unknown"]) == (0, 0)
    assert scores["boxes"] == {"accuracy": 50.0, "per_class": {"cat": 0.0, "dog": 100.0}}


def test_boundary_iou(label_folder, voc_folder, truth, written):
    scores = evaluate_labels(label_folder, read_dataset(voc_folder, "val")).labelings
    for name in ("y_crf", "y_ret"):
        counts = [boundary_counts(written[name][each].tolist(), truth[each].tolist(), 4) for each in truth]
        both, either = np.array(counts).sum(axis=0).T
        assert scores[name].boundary_per_class[:3] == pytest.approx(100 * both[:3] / either[:3])
        assert math.isnan(scores[name].boundary_per_class[3])
        assert scores[name].boundary_iou == pytest.approx(np.mean(100 * both[:3] / either[:3]))
    # The cat's ring has 12 pixels, that of its four by three labels 10, and 8 are in both; the dog is all ring.
    assert scores["y_crf"].boundary_per_class[1:3] == pytest.approx((100 * 8 / 14, 100.0))
    assert scores["box"].boundary_iou == 100.0
    assert scores["agreed"].boundary_iou is None


def test_no_boundary(capsys, monkeypatch, label_folder, voc_folder):
    status, out, _ = run(capsys, monkeypatch, "evaluate", label_folder, voc_folder, "--no-boundary", "--json")
    assert status == 0
    assert json.loads(out)["y_crf"]["boundary_iou"] is None


def test_tables(capsys, monkeypatch, label_folder, voc_folder):
    status, out, err = run(capsys, monkeypatch, "evaluate", label_folder, voc_folder, "--split", "val")
    assert (status, err) == (0, "")
    rows = {cells[0]: cells[1:] for cells in map(cells_of, out.splitlines()) if cells}
    assert rows["Y_crf"] == ["89.8", rows["Y_crf"][1], "83.3", "0.0"]
    assert rows["Y_crf & Y_ret"] == ["100.0", "-", "100.0", "6.5"]
    assert rows["cat"] == ["100.0", "75.0", "100.0", "100.0", "40.0", "0.0"]
    assert rows["dog"] == ["100.0", "100.0", "75.0", "100.0", "100.0", "100.0"]
    assert "bird" not in rows
    text = " ".join(out.split())
    assert "Mask AP 70.0 (AP50 100.0, AP75 50.0; small 70.0, medium -, large -). Box accuracy 50.0" in text
    assert text.endswith("because no true mask and no label has them: bird")


def cells_of(line):
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_labels_of_more_images_than_the_split_has(label_folder, voc_folder):
    (voc_folder / "ImageSets/Segmentation/cats.txt").write_text("pets/one\n")
    scores = evaluate_labels(label_folder, read_dataset(voc_folder, "cats"))
    assert scores.images == 1
    assert scores.absent_classes == ("dog", "bird")


def test_true_masks_of_objects_from_class_masks(capsys, monkeypatch, label_folder, voc_folder):
    """One box a class: its object is what the class has in it, as with a mask of its own."""
    for path in (voc_folder / "SegmentationObject").rglob("*.png"):
        path.unlink()
    _, out, _ = run(capsys, monkeypatch, "evaluate", label_folder, voc_folder, "--json")
    scores = json.loads(out)
    assert scores["instances"]["per_class"] == pytest.approx({"cat": 40.0, "dog": 100.0})
    assert (scores["instances_derived"], scores["instances_unknown"]) == (2, 0)
    text = " ".join(run(capsys, monkeypatch, "evaluate", label_folder, voc_folder)[1].split())
    assert "true masks of 2 objects from class masks, 0 left out" in text


def test_an_image_that_is_all_void(label_folder, voc_folder):
    write_label_map(voc_folder / "SegmentationClass/two.png", np.full((6, 8), 255, dtype=np.uint8))
    scores = evaluate_labels(label_folder, read_dataset(voc_folder))
    assert scores.labelings["y_crf"].miou == pytest.approx((100 * 28 / 32 + 75) / 2)
    assert scores.absent_classes == ("dog", "bird")


def test_nothing_but_void_is_null_not_zero(capsys, monkeypatch, label_folder, voc_folder):
    for path in (voc_folder / "SegmentationClass").rglob("*.png"):
        write_label_map(path, np.full((6, 8), 255, dtype=np.uint8))
    status, out, _ = run(capsys, monkeypatch, "evaluate", label_folder, voc_folder, "--json")
    scores = json.loads(out)
    assert status == 0
    assert (scores["y_crf"]["miou"], scores["agreed"]["ignored_share"]) == (None, None)
    assert scores["absent_classes"] == list(NAMES)


def test_scoring_loads_no_stage_and_no_torch():
    code = "import sys, bana.evaluate; print(*(name for name in sys.modules if name.startswith(('bana', 'torch'))))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "bana.evaluate.folder" in loaded
    below = {f"bana.{name}" for name in ("_version", "callable_modules", "errors", "extras", "io", "data", "evaluate")}
    assert {".".join(name.split(".")[:2]) for name in loaded} <= {"bana", *below}


def edit_instance(path, **changes):
    content = json.loads(path.read_text())
    content["instances"][0].update(changes)
    path.write_text(json.dumps(content))


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])


BAD = {
    "not a label folder": (lambda labels, voc: (labels / "labels.json").unlink(), "labels: holds no labels.json"),
    "manifest is no JSON": (lambda labels, voc: (labels / "labels.json").write_text("{"), "labels.json: line 1"),
    "manifest has no classes": (lambda labels, voc: (labels / "labels.json").write_text("{}"), "has no 'classes'"),
    "other classes": (
        lambda labels, voc: (labels / "labels.json").write_text('{"classes": ["cat", "cow", "bird"]}'),
        "class 2 is 'cow' there and 'dog' here",
    ),
    "fewer classes": (
        lambda labels, voc: (labels / "labels.json").write_text('{"classes": ["cat", "dog"]}'),
        "its 2 classes are not the 3 of",
    ),
    "a missing map": (lambda labels, voc: (labels / "y_ret/two.png").unlink(), "image two (1 of 2 images"),
    "missing instances": (lambda labels, voc: (labels / "instances/pets/one.json").unlink(), "image pets/one (1 of 2"),
    "wrong size": (
        lambda labels, voc: Image.new("L", (6, 8)).save(labels / "y_crf/pets/one.png"),
        "y_crf/pets/one.png: map is 6x8, but the image is 8x6",
    ),
    "a truncated map": (lambda labels, voc: truncate(labels / "agreed/two.png"), "agreed/two.png: "),
    "a label that is no class": (
        lambda labels, voc: Image.new("L", (8, 6), 4).save(labels / "y_ret/two.png"),
        "y_ret/two.png: has label 4, but there are 3 classes",
    ),
    "colors": (
        lambda labels, voc: Image.new("RGB", (8, 6)).save(labels / "y_ret/two.png"),
        "y_ret/two.png: has colors",
    ),
    "no true mask": (
        lambda labels, voc: [(voc / f"Segmentation{each}/two.png").unlink() for each in ("Class", "Object")],
        "image two has no true mask",
    ),
    "a truncated true mask": (
        lambda labels, voc: truncate(voc / "SegmentationClass/pets/one.png"),
        "SegmentationClass/pets/one.png: ",
    ),
    "instances are no JSON": (lambda labels, voc: truncate(labels / "instances/two.json"), "two.json: line 1"),
    "other boxes": (
        lambda labels, voc: edit_instance(labels / "instances/two.json", class_id=1),
        "two.json: has 1 boxes and image two has 1, or other classes",
    ),
    "an unknown status": (
        lambda labels, voc: edit_instance(labels / "instances/two.json", status="fine"),
        "two.json: instance 1: status 'fine'",
    ),
    "a damaged RLE": (
        lambda labels, voc: edit_instance(labels / "instances/two.json", segmentation={"size": [6, 8], "counts": "Q1"}),
        "two.json: instance 1: RLE counts",
    ),
    "an RLE of another size": (
        lambda labels, voc: edit_instance(labels / "instances/two.json", segmentation={"size": [8, 6], "counts": "Q1"}),
        "two.json: instance 1: RLE mask has size [8, 6]",
    ),
    "a polygon for an RLE": (
        lambda labels, voc: edit_instance(labels / "instances/two.json", segmentation=[[0, 0, 4, 0, 4, 4]]),
        "two.json: instance 1: 'segmentation' is no RLE",
    ),
    "a confidence that is text": (
        lambda labels, voc: edit_instance(labels / "instances/two.json", confidence="high"),
        "two.json: instance 1: 'confidence'",
    ),
}


@pytest.mark.parametrize(("spoil", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_status_2(capsys, monkeypatch, label_folder, voc_folder, spoil, said):
    spoil(label_folder, voc_folder)
    status, out, err = run(capsys, monkeypatch, "evaluate", label_folder, voc_folder, "--split", "val", "--json")
    assert (status, out) == (2, "")
    assert err.startswith("bana: error: ")
    assert err.count("\n") == 1
    assert said in err
    with pytest.raises(DataError):
        evaluate_labels(label_folder, read_dataset(voc_folder, "val"))
