"""`bana segment` as a user meets it: the run folder, resuming, masks, validation, errors."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from bad_data import refused
from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import read_label_map, write_label_map
from bana.data.reading import read_dataset
from bana.data.records import boxes_to_mask
from bana.engine.checkpoint import load_tensors
from bana.engine.loop import CHECKPOINT, LOG
from bana.nn.initialization import start_from_labeler
from bana.nn.train import BEST
from bana.presets import parse_settings
from bana.segment import task as task_module
from bana.segment.model import SEGMENTER
from bana.segment.segmenter import PredictSettings, Segmenter, mean_cosine
from bana.segment.settings import BRANCH_LOSSES, LOSSES, RATE_LOSSES, SegmentSettings
from bana.segment.validation import network_miou
from shapes_data import CLASSES, IMAGES

RUN = {"settings.json", "rejected.jsonl", LOG, CHECKPOINT, SEGMENTER.file_name}


@pytest.fixture(scope="session")
def preset(tiny_segment_settings, tmp_path_factory):
    """A preset file of two epochs of small crops."""
    settings = tiny_segment_settings.model_dump(mode="json") | {"epochs": 2}
    file = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    file.write_text(yaml.safe_dump({"segment": settings}))
    return file


@pytest.fixture
def segment(run_cli, preset, tiny_run, tiny_labels):
    def command(data, out, *more, labels=tiny_labels):
        given = [] if labels is None else ["--labels", labels]
        return run_cli("segment", data, "--out", out, "--preset", preset, "--labeler", tiny_run, *given, *more)

    return command


@pytest.fixture(scope="session")
def masked(shapes_voc, tiny_labels, tmp_path_factory):
    """The tiny data set with true masks: the labels shall be true here, but for one square of another class."""
    root = tmp_path_factory.mktemp("masked") / "voc"
    shutil.copytree(shapes_voc, root)
    for record in read_dataset(shapes_voc):
        truth = read_label_map(tiny_labels / "y_crf" / f"{record.image_id}.png", record.width, record.height)
        truth[:9, :9] = 3
        write_label_map(root / "SegmentationClass" / f"{record.image_id}.png", truth)
    return root


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def log_of(out):
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()]


def without_speed(entries):
    return [{key: value for key, value in entry.items() if key != "images_per_second"} for entry in entries]


def test_a_run_leaves_its_file_log_and_checkpoint(segment, shapes_voc, tmp_path):
    answer = segment(shapes_voc, tmp_path / "run", "--pictures", 2)
    assert answer.status == 0, answer.err
    assert answer.out.splitlines() == [str(tmp_path / "run" / SEGMENTER.file_name), str(tmp_path / "run" / "sigma.png")]
    maps = {name for name in files(tmp_path / "run") if name.startswith("sigma/")}
    assert len(maps) == 2 * 3
    assert {name.split("/")[2] for name in maps} == {f"epoch-{epoch:03}.png" for epoch in (0, 1, 2)}
    assert files(tmp_path / "run") == RUN | maps | {"sigma.png"}
    with Image.open(tmp_path / "run" / "sigma.png") as sheet:
        assert sheet.width == 2400
    log = log_of(tmp_path / "run")
    assert [entry["step"] for entry in log] == [0, 1, 2, 3]
    assert all(0 <= entry["differ"] < 0.5 and 0 < entry["sigma"] <= 1 and entry["loss"] > 0 for entry in log)
    _, facts = SEGMENTER.load(tmp_path / "run")
    assert facts.classes == CLASSES
    assert facts.settings.epochs == 2
    assert facts.training["images"] == len(IMAGES)


def test_confidence_is_one_where_the_label_is_the_best_class(tiny_segment_run, tiny_labels, shapes_voc):
    network, _ = SEGMENTER.load(tiny_segment_run)
    records = {record.image_id: record for record in read_dataset(shapes_voc)}
    drawn = sorted((tiny_segment_run / "sigma").iterdir())
    assert len(drawn) == 2
    for folder in drawn:
        record = records[folder.name]
        sigma = np.asarray(Image.open(folder / "epoch-025.png"))
        best = mean_cosine(network, open_record_image(record)).argmax(1)[0].numpy()
        right = best == LabelFolder(tiny_labels).label_map("y_crf", record)
        assert (sigma[right] == 255).mean() > 0.99
        assert sigma[~right].mean() < 250


@pytest.mark.parametrize("workers", [0, 1])
def test_the_same_seed_gives_the_same_bytes_and_a_cut_run_too(segment, shapes_voc, tmp_path, monkeypatch, workers):
    assert segment(shapes_voc, tmp_path / "whole", "--workers", workers).status == 0
    assert segment(shapes_voc, tmp_path / "other", "--seed", 1).status == 0
    steps = []
    true_loss = task_module.SegmentTask.loss

    def cut_loss(self, batch):
        steps.append(None)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return true_loss(self, batch)

    monkeypatch.setattr(task_module.SegmentTask, "loss", cut_loss)
    assert segment(shapes_voc, tmp_path / "cut", "--checkpoint-seconds", 0).status == 130
    assert segment(shapes_voc, tmp_path / "cut").status == 0
    whole, cut, other = ((tmp_path / name / SEGMENTER.file_name).read_bytes() for name in ("whole", "cut", "other"))
    assert whole == cut
    assert whole != other
    assert without_speed(log_of(tmp_path / "cut")) == without_speed(log_of(tmp_path / "whole"))
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_folder_of_another_run_is_refused(segment, shapes_voc, masked, tmp_path):
    assert segment(shapes_voc, tmp_path / "run").status == 0
    before = (tmp_path / "run" / CHECKPOINT).read_bytes()
    answer = segment(shapes_voc, tmp_path / "run", "--loss", "agreed")
    refused(answer, "belongs to a run with other settings.loss; repeat that run's options to continue it, or choose")
    answer = segment(shapes_voc, tmp_path / "run", "--masks", masked / "SegmentationClass")
    refused(answer, "belongs to a run with other masked_images, masks;")
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(segment, shapes_voc, tmp_path, loss):
    answer = segment(shapes_voc, tmp_path / "run", "--loss", loss, "--epochs", 1, "--pictures", 0)
    assert answer.status == 0, answer.err
    assert files(tmp_path / "run") == RUN
    assert all(np.isfinite(entry["loss"]) for entry in log_of(tmp_path / "run"))


@pytest.mark.parametrize("loss", ["em_fixed", *BRANCH_LOSSES])
def test_losses_on_boxes_fall_and_their_networks_predict(segment, shapes_voc, tmp_path, loss):
    answer = segment(shapes_voc, tmp_path / "run", "--loss", loss, "--epochs", 25, "--pictures", 0)
    assert answer.status == 0, answer.err
    losses = [entry["loss"] for entry in log_of(tmp_path / "run")]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
    segmenter = Segmenter.load(tmp_path / "run", PredictSettings(scales=(1.75,), flip=False, crf=None))
    shares = []
    for record in read_dataset(shapes_voc):
        found, inside = segmenter(record.path).labels > 0, boxes_to_mask(record.boxes, record.height, record.width)
        shares.append((found[inside].mean(), found[~inside].mean() if not inside.all() else 0.0))
    in_boxes, outside = np.mean(shares, 0)
    assert in_boxes > max(0.2, 3 * outside)
    assert (segmenter.network.branch is not None) == (loss in BRANCH_LOSSES)


@pytest.mark.parametrize("loss", RATE_LOSSES)
def test_filling_rates_come_from_labels(segment, masked, tmp_path, loss):
    answer = segment(masked, tmp_path / "run", "--masks", masked / "SegmentationClass", "--loss", loss, labels=None)
    refused(answer, f"loss: {loss} needs the filling rates of labels; give --labels")


def test_losses_differ(segment, shapes_voc, tmp_path):
    first = {}
    for loss in ("nal", "agreed", "y_crf", "entropy", "filling_rate"):
        assert segment(shapes_voc, tmp_path / loss, "--loss", loss, "--epochs", 1, "--pictures", 0).status == 0
        first[loss] = log_of(tmp_path / loss)[0]["loss"]
    assert len(set(first.values())) == len(first)
    assert first["agreed"] < min(first["nal"], first["entropy"])


def test_a_validation_split_is_scored_on_every_epoch_and_the_best_is_kept(segment, masked, tmp_path):
    answer = segment(masked, tmp_path / "run", "--val-split", "train", "--epochs", 3)
    assert answer.status == 0, answer.err
    scored = [(entry["epoch"], entry["miou"]) for entry in log_of(tmp_path / "run") if "miou" in entry]
    assert [epoch for epoch, _ in scored] == [1, 2, 3]
    best, _ = SEGMENTER.load(tmp_path / "run" / BEST)
    assert network_miou(best, read_dataset(masked)) == pytest.approx(max(miou for _, miou in scored), abs=0.5)


def test_without_labels_masks_are_all_that_is_learned(segment, masked, tmp_path):
    answer = segment(masked, tmp_path / "run", "--masks", masked / "SegmentationClass", labels=None)
    assert answer.status == 0, answer.err
    facts = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (facts["masked_images"], facts["labels"]) == (len(IMAGES), None)
    assert all(entry["differ"] == 0 for entry in log_of(tmp_path / "run"))


def test_images_with_a_true_mask_use_it_whole(segment, masked, tmp_path):
    some = tmp_path / "masks"
    some.mkdir()
    for name in ("a", "c"):
        shutil.copy(masked / "SegmentationClass" / f"{name}.png", some)
    assert segment(masked, tmp_path / "semi", "--masks", some).status == 0
    assert segment(masked, tmp_path / "labels").status == 0
    facts = json.loads((tmp_path / "semi" / "settings.json").read_text())
    assert facts["masked_images"] == 2
    assert facts["masks"] != json.loads((tmp_path / "labels" / "settings.json").read_text())["masks"]
    semi, labels = (sum(entry["differ"] for entry in log_of(tmp_path / name)) for name in ("semi", "labels"))
    assert semi < labels
    assert log_of(tmp_path / "semi")[0]["loss"] != log_of(tmp_path / "labels")[0]["loss"]


def test_bfloat16_trains_to_nearly_the_same(segment, shapes_voc, tmp_path):
    for precision in ("float32", "bfloat16"):
        assert segment(shapes_voc, tmp_path / precision, "--precision", precision, "--pictures", 0).status == 0
    full, half = (log_of(tmp_path / name)[0]["loss"] for name in ("float32", "bfloat16"))
    assert full != half == pytest.approx(full, rel=0.05)
    tensors, _ = load_tensors(tmp_path / "bfloat16" / CHECKPOINT)
    assert tensors["model.class_weights"].dtype == torch.float32


def test_an_image_without_labels_is_refused_or_skipped(segment, shapes_voc, tiny_labels, tmp_path):
    labels = tmp_path / "labels"
    shutil.copytree(tiny_labels, labels)
    (labels / "y_ret" / "c.png").unlink()
    refused(segment(shapes_voc, tmp_path / "run", labels=labels), "c.jpg: image c has no labels; run bana label on it")
    assert not (tmp_path / "run").exists()
    answer = segment(shapes_voc, tmp_path / "run", "--on-error", "skip", labels=labels)
    assert answer.status == 1
    assert json.loads((tmp_path / "run" / "rejected.jsonl").read_text())["image_id"] == "c"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "cuda"], "device 'cuda' cannot be used"),
        (["--val-split", "val"], "split 'val'"),
        (["--val-split", "train"], "image a has no true mask; add its mask"),
        (["--epochs", "0"], "settings: epochs: must be at least 1, not 0"),
        (["--masks", "nowhere"], "nowhere: holds no masks (<image>.png); check the path"),
        (["--preset", "vgg17"], "preset 'vgg17' is not known; choose one of coco, lite0, resnet101, small, vgg16"),
    ],
)
def test_bad_options_are_refused(segment, shapes_voc, tmp_path, options, message):
    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("has a GPU")
    refused(segment(shapes_voc, tmp_path / "run", *options), message)
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_masks_of_other_images_are_refused(segment, masked, shapes_voc, tmp_path):
    other = tmp_path / "masks"
    other.mkdir()
    shutil.copy(masked / "SegmentationClass" / "a.png", other / "z.png")
    refused(segment(shapes_voc, tmp_path / "run", "--masks", other), "z.png: is the mask of no image of")


def test_without_labels_every_image_needs_a_mask(segment, masked, tmp_path):
    some = tmp_path / "masks"
    some.mkdir()
    shutil.copy(masked / "SegmentationClass" / "a.png", some)
    refused(
        segment(masked, tmp_path / "run", "--masks", some, labels=None),
        "b.jpg: image b has no true mask; give --labels",
    )


def test_a_mask_of_another_size_is_refused(segment, masked, tmp_path):
    some = tmp_path / "masks"
    some.mkdir()
    write_label_map(some / "a.png", np.zeros((5, 5), dtype=np.uint8))
    refused(segment(masked, tmp_path / "run", "--masks", some), "a.png: map is 5x5, but the image is 96x72")


def test_labels_of_other_classes_are_refused(segment, shapes_voc, tiny_labels, tmp_path):
    labels = tmp_path / "labels"
    shutil.copytree(tiny_labels, labels)
    content = json.loads((labels / "labels.json").read_text()) | {"classes": ["disk", "cross", "square"]}
    (labels / "labels.json").write_text(json.dumps(content))
    refused(segment(shapes_voc, tmp_path / "run", labels=labels), "class 2 is 'cross' there and 'square' here")


def test_a_segmenter_starts_from_the_layers_and_known_classes_of_a_labeler(
    segment, preset, tiny_run, shapes_voc, tmp_path
):
    started = tmp_path / "started.yaml"
    content = yaml.safe_load(preset.read_text())
    content["segment"] |= {"start": "labeler", "head_width": 16, "crop_size": 65}
    started.write_text(yaml.safe_dump(content))
    assert segment(shapes_voc, tmp_path / "run", "--preset", started, "--pictures", 0).status == 0
    facts = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert facts["labeler"] is not None
    settings = parse_settings(content["segment"], SegmentSettings, "preset")
    network, (labeler, _) = SEGMENTER.build(settings, 3, seed=0), LABELER.load(tiny_run)
    start_from_labeler(network, ("square", "star", "disk"), settings, tiny_run)
    own, theirs = network.state_dict(), labeler.state_dict()
    assert all(torch.equal(own[name], theirs[name]) for name in theirs if name != "classifier.weight")
    weights = labeler.class_weights[[0, 2, 1]]
    assert torch.equal(network.class_weights[[0, 1, 3]], weights)
    assert not torch.equal(network.class_weights[2], labeler.class_weights[3])


def test_the_preset_must_fit_the_labeler(segment, preset, shapes_voc, tmp_path):
    changed = tmp_path / "changed.yaml"
    content = yaml.safe_load(preset.read_text())
    content["segment"]["start"] = "labeler"
    changed.write_text(yaml.safe_dump(content))
    refused(segment(shapes_voc, tmp_path / "run", "--preset", changed), "its head is 16 channels wide")
    content["segment"] |= {"head_width": 16, "train_backbone": "late"}
    changed.write_text(yaml.safe_dump(content))
    refused(
        segment(shapes_voc, tmp_path / "run", "--preset", changed), "has the backbone lite0 with none layers trained"
    )
