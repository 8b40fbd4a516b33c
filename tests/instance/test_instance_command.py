"""`bana segment --task instance` as a user meets it, and the detector that it leaves."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.models.detection.roi_heads import paste_masks_in_image

from bad_data import refused, refused_choice
from bana.data.images import open_record_image
from bana.data.label_maps import read_label_map, write_label_map
from bana.data.masks import decode_mask
from bana.data.reading import read_dataset
from bana.engine.loop import CHECKPOINT, LOG
from bana.instance import Detector, DetectSettings
from bana.instance import task as task_module
from bana.instance.model import DETECTOR
from bana.instance.settings import InstanceSettings
from bana.nn.train import train as train_network
from shapes_data import CLASSES

SETTINGS = {
    "backbone": "lite0",
    "train_backbone": "none",
    "width": 16,
    "box_samples": 16,
    "optimizer": "adamw",
    "crop_size": 97,
    "epochs": 2,
    "batch_size": 4,
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    file = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    file.write_text(yaml.safe_dump({"instance": SETTINGS}))
    return file


@pytest.fixture
def train(run_cli, preset, tiny_labels):
    def command(data, out, *more, labels=tiny_labels):
        given = [] if labels is None else ["--labels", labels]
        return run_cli("segment", data, "--task", "instance", "--out", out, "--preset", preset, *given, *more)

    return command


def log_of(out):
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()]


def test_a_run_leaves_its_file_log_and_checkpoint(train, shapes_voc, tmp_path):
    answer = train(shapes_voc, tmp_path / "run")
    assert answer.status == 0, answer.err
    assert answer.out.splitlines() == [str(tmp_path / "run" / DETECTOR.file_name)]
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"settings.json", "rejected.jsonl", LOG, CHECKPOINT, DETECTOR.file_name}
    log = log_of(tmp_path / "run")
    assert len(log) == 4
    parts = ("objectness", "rpn_box_reg", "classifier", "box_reg", "mask")
    for entry in log:
        assert entry["loss"] == pytest.approx(sum(entry[part] for part in parts), rel=1e-4)
        assert all(entry[part] > 0 for part in parts)
    _, facts = DETECTOR.load(tmp_path / "run")
    assert facts.classes == CLASSES
    assert facts.settings.width == 16


def test_the_same_seed_gives_the_same_bytes_and_a_cut_run_too(train, shapes_voc, tmp_path, monkeypatch):
    assert train(shapes_voc, tmp_path / "whole").status == 0
    assert train(shapes_voc, tmp_path / "other", "--seed", 1).status == 0
    steps = []
    true_loss = task_module.InstanceTask.loss

    def cut_loss(self, batch):
        steps.append(None)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return true_loss(self, batch)

    monkeypatch.setattr(task_module.InstanceTask, "loss", cut_loss)
    assert train(shapes_voc, tmp_path / "cut", "--checkpoint-seconds", 0).status == 130
    refused(train(shapes_voc, tmp_path / "cut", "--seed", 1), "belongs to a run with other seed;")
    assert train(shapes_voc, tmp_path / "cut").status == 0
    whole, cut, other = ((tmp_path / name / DETECTOR.file_name).read_bytes() for name in ("whole", "cut", "other"))
    assert whole == cut
    assert whole != other


def test_options_that_mean_nothing_are_refused(train, shapes_voc, tmp_path):
    refused(train(shapes_voc, tmp_path / "run", "--loss", "nal"), "loss: is for the semantic task only")
    refused(train(shapes_voc, tmp_path / "run", labels=None), "image a has no true mask; add its mask")
    refused(train(shapes_voc, tmp_path / "run", labels=tmp_path), "holds no labels.json")


def test_an_unknown_task_is_refused(run_cli, shapes_voc, tiny_labels, tmp_path):
    answer = run_cli("segment", shapes_voc, "--task", "panoptic", "--labels", tiny_labels, "--out", tmp_path / "run")
    refused_choice(answer, "panoptic", "semantic", "instance")


def test_an_image_without_labels_is_refused_or_skipped(train, shapes_voc, tiny_labels, tmp_path):
    labels = tmp_path / "labels"
    shutil.copytree(tiny_labels, labels)
    (labels / "instances" / "c.json").unlink()
    refused(train(shapes_voc, tmp_path / "run", labels=labels), "image c has no labels; run bana label on it, or skip")
    skipped = train(shapes_voc, tmp_path / "run", "--on-error", "skip", labels=labels)
    assert skipped.status == 1
    assert "image c has no labels" in (tmp_path / "run" / "rejected.jsonl").read_text()


@pytest.fixture(scope="module")
def run(shapes_voc, tiny_labels, tmp_path_factory):
    """A network that has seen next to nothing: its objects are as good as random, but it has some."""
    out = tmp_path_factory.mktemp("instance") / "run"
    task = task_module.InstanceTask(InstanceSettings(**SETTINGS), labels=tiny_labels)
    train_network(task, read_dataset(shapes_voc), out)
    return out


def test_a_detector_scales_what_its_network_finds_to_the_image(run, shapes_voc):
    image = open_record_image(read_dataset(shapes_voc)[0])
    detector = Detector.load(run, DetectSettings(image_side=161, min_score=0.0, most=7))
    found = detector(image)
    assert detector.class_table.names == CLASSES
    assert len(found.boxes) == len(found.class_ids) == len(found.scores) == len(found.masks) == 7
    assert found.masks.shape == (7, *image.shape[:2])
    assert found.masks.dtype == bool
    assert set(found.class_ids.tolist()) <= {1, 2, 3}
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes[:, :2] >= 0).all()
    assert (found.boxes[:, 2:] <= np.array([image.shape[1], image.shape[0]]) + 1e-3).all()
    from bana.nn.network import network_input

    pixels = network_input(image, 161, 32)
    with torch.inference_mode():
        (raw,) = detector.network(pixels)
    factor = torch.tensor([image.shape[1] / pixels.shape[3], image.shape[0] / pixels.shape[2]] * 2)
    np.testing.assert_allclose(found.boxes, raw["boxes"] * factor, rtol=1e-5)
    pasted = paste_masks_in_image(raw["masks"], raw["boxes"] * factor, image.shape[:2])
    np.testing.assert_array_equal(found.masks, (pasted[:, 0] > 0.5).numpy())


def test_a_detector_of_magnified_images_sees_images_magnified(run, shapes_voc):
    image = open_record_image(read_dataset(shapes_voc)[0])
    side = round(1.5 * max(image.shape[:2]))
    expected = Detector.load(run, DetectSettings(image_side=side, min_score=0.0))(image)
    detector = Detector.load(run, DetectSettings(min_score=0.0))
    assert not np.array_equal(detector(image).boxes, expected.boxes)
    detector.network.magnification = 1.5
    np.testing.assert_array_equal(detector(image).boxes, expected.boxes)


def test_few_objects_are_sure_enough(run, shapes_voc):
    image = open_record_image(read_dataset(shapes_voc)[0])
    found = Detector.load(run, DetectSettings(min_score=1.0))(image)
    assert len(found.boxes) == 0
    assert found.masks.shape == (0, *image.shape[:2])
    assert len(Detector.load(run, DetectSettings(min_score=0.0))(image).boxes) > 0


def objects_of(out):
    return json.loads((out / "results.json").read_text())


@pytest.fixture
def one_thread():
    """As the processes of bana predict work: sums of several threads differ in their last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_predict_lists_the_objects_of_pictures(run_cli, run, shapes_voc, tmp_path):
    out = tmp_path / "out"
    command = ("predict", run, shapes_voc / "JPEGImages", "--out", out, "--min-score", 0.3, "--workers", 1)
    answer = run_cli(*command)
    assert answer.status == 0, answer.err
    assert answer.out.startswith(f"{out / 'results.json'}: 6 pictures, 6 searched now in ")
    assert (out / "predictions.json").is_file()
    results = objects_of(out)
    detector = Detector.load(run, DetectSettings(min_score=0.3))
    for record in read_dataset(shapes_voc):
        found = detector(open_record_image(record))
        listed = [each for each in results if each["image_id"] == record.image_id]
        assert [each["category_id"] for each in listed] == found.class_ids.tolist()
        np.testing.assert_allclose([each["score"] for each in listed], found.scores, atol=1e-6)
        entry = json.loads((out / "entries" / f"{record.image_id}.json").read_text())
        assert entry["foreground"] == pytest.approx(found.masks.any(0).mean())
        corners = [(x, y, x + width, y + height) for x, y, width, height in (each["bbox"] for each in entry["objects"])]
        np.testing.assert_allclose(np.reshape(corners, (-1, 4)), found.boxes, atol=2e-3)
        for each, mask in zip(listed, found.masks, strict=True):
            np.testing.assert_array_equal(decode_mask(each["segmentation"], record.height, record.width), mask)
    before = (out / "results.json").read_bytes()
    (out / "entries" / "b.json").unlink()
    assert json.loads(run_cli(*command, "--json").out)["predicted"] == 1
    few = json.loads(run_cli(*command[:4], tmp_path / "few", "--min-score", 1, "--workers", 1, "--json").out)
    assert few["nearly_empty"] == 6
    assert (out / "results.json").read_bytes() == before
    refused(run_cli(*command[:-4], "--workers", 1), "holds predictions of another network or settings")


def test_objects_of_a_coco_data_set_have_its_numbers(run_cli, run, shapes_voc, tmp_path):
    assert run_cli("convert", shapes_voc, tmp_path / "coco", "--to", "coco").status == 0
    (file,) = (tmp_path / "coco").rglob("*.json")
    content = json.loads(file.read_text())
    for each in (*content["categories"], *content["annotations"]):
        key = "category_id" if "category_id" in each else "id"
        each[key] = 10 * each[key]
    for each in content["images"]:
        each["id"] += 500
    for each in content["annotations"]:
        each["image_id"] += 500
    file.write_text(json.dumps(content))
    dataset = read_dataset(tmp_path / "coco")
    out = tmp_path / "out"
    split = dataset.split or "train"
    answer = run_cli("predict", run, tmp_path / "coco", "--split", split, "--out", out, "--min-score", 0)
    assert answer.status == 0, answer.err
    results = objects_of(out)
    assert {each["image_id"] for each in results} == {record.source_id for record in dataset}
    assert min(each["image_id"] for each in results) > 500
    assert {each["category_id"] for each in results} <= {10, 20, 30}


def test_evaluate_scores_what_predict_found(run_cli, run, shapes_voc, tiny_labels, tmp_path):
    """The folder or its results.json; true masks from class masks, one box a class in an image but for `e`."""
    root = tmp_path / "voc"
    shutil.copytree(shapes_voc, root)
    for record in read_dataset(shapes_voc):
        truth = read_label_map(tiny_labels / "y_crf" / f"{record.image_id}.png", record.width, record.height)
        write_label_map(root / "SegmentationClass" / f"{record.image_id}.png", truth)
    out = tmp_path / "out"
    assert run_cli("predict", run, root, "--split", "train", "--out", out, "--min-score", 0, "--workers", 1).status == 0
    scores = [
        json.loads(run_cli("evaluate", each, root, "--split", "train", "--json").out)
        for each in (out, out / "results.json")
    ]
    assert scores[0] == scores[1]
    assert scores[0]["detections"] == len(objects_of(out)) > 0
    assert 0 <= scores[0]["instances"]["ap50"] <= 100


def test_objects_of_plain_files_are_scored_by_file_name(run_cli, run, shapes_voc, tmp_path):
    assert run_cli("convert", shapes_voc, tmp_path / "coco", "--to", "coco").status == 0
    how = ("--min-score", 0, "--workers", 1)
    assert run_cli("predict", run, tmp_path / "coco", "--split", "train", "--out", tmp_path / "set", *how).status == 0
    assert run_cli("predict", run, tmp_path / "coco/train", "--out", tmp_path / "files", *how).status == 0
    (file,) = (tmp_path / "coco").rglob("*.json")
    content = json.loads(file.read_text())
    for each in content["annotations"]:
        x, y, width, height = each["bbox"]
        each["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    file.write_text(json.dumps(content))
    first, second = (run_cli("evaluate", tmp_path / each / "results.json", file, "--json") for each in ("set", "files"))
    assert first.status == second.status == 0, second.err
    assert first.out == second.out


def test_objects_of_other_classes_are_refused(run_cli, run, shapes_voc, tmp_path):
    assert run_cli("predict", run, shapes_voc / "JPEGImages", "--out", tmp_path / "out", "--workers", 1).status == 0
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    (data / "labels.txt").write_text("cross\ndisk\nsquare\n")
    refused(run_cli("evaluate", tmp_path / "out/results.json", data), tmp_path / "out", "classes are not")


def test_options_of_segmenters_are_refused(run_cli, run, tiny_segment_run, shapes_voc, tmp_path):
    photo = shapes_voc / "JPEGImages" / "a.jpg"
    refused(run_cli("predict", run, photo, "--out", tmp_path / "out", "--no-crf"), "crf: is not for a Mask R-CNN")
    answer = run_cli("predict", tiny_segment_run, photo, "--out", tmp_path / "out", "--min-score", 0.5)
    refused(answer, "min_score: is for a Mask R-CNN")


def test_a_mask_rcnn_is_not_exported(run_cli, run):
    refused(run_cli("export", run, "--to", "onnx"), "is a Mask R-CNN; only segmentation networks are exported")


def test_predict_draws_the_objects_of_pictures(run_cli, run, shapes_voc, tmp_path):
    photo = shapes_voc / "JPEGImages/b.jpg"
    assert run_cli("predict", run, photo, "--out", tmp_path / "out", "--overlays", "--workers", 1).status == 0
    with Image.open(tmp_path / "out" / "overlays" / "b.jpg") as overlay:
        assert overlay.size == (80, 96)
    (tmp_path / "out" / "overlays" / "b.jpg").unlink()
    again = run_cli("predict", run, photo, "--out", tmp_path / "out", "--overlays", "--workers", 1, "--json")
    assert json.loads(again.out)["predicted"] == 1
    assert (tmp_path / "out" / "overlays" / "b.jpg").is_file()
