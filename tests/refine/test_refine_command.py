"""`bana refine` as a user meets it: the run folder, resuming, errors; and labeling with what it leaves."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

import bana
from bad_data import refused, truncated_image
from bana import Labeler
from bana.classify.model import LABELER
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.engine.loop import CHECKPOINT, LOG
from bana.nn import train as train_module
from bana.refine import task as task_module
from bana.refine.model import REFINER
from shapes_data import CLASSES, IMAGES, write_shapes

RUN = {"settings.json", "rejected.jsonl", LOG, CHECKPOINT, REFINER.file_name, LABELER.file_name}
MAPS = ("y_crf", "y_ret", "agreed", "confidence")


@pytest.fixture(scope="module")
def preset(tiny_refine_settings, tmp_path_factory):
    """A preset file of two epochs of the smallest windows."""
    settings = tiny_refine_settings.model_dump(mode="json") | {"epochs": 2, "crop_size": 33}
    file = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    file.write_text(yaml.safe_dump({"refine": settings}))
    return file


@pytest.fixture
def refine(run_cli, preset, true_labels, tiny_run):
    def command(data, out, *more, labels=true_labels, labeler=tiny_run):
        given = [] if labeler is None else ["--labeler", labeler]
        return run_cli("refine", data, "--labels", labels, "--out", out, "--preset", preset, *given, *more)

    return command


@pytest.fixture(scope="module")
def refined(preset, shapes_voc, true_labels, tiny_run, tmp_path_factory):
    """A finished run; not to be changed."""
    out = tmp_path_factory.mktemp("refined") / "run"
    file = bana.refine(shapes_voc, true_labels, out, preset=preset, labeler=tiny_run, quiet=True)
    assert file == out / LABELER.file_name
    return out


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A data set of two images, in which boxes overlap."""
    return write_shapes(tmp_path_factory.mktemp("pair") / "voc", {name: IMAGES[name] for name in "bd"})


@pytest.fixture
def label(run_cli, pair):
    def command(out, labeler, *more):
        answer = run_cli("label", pair, "--out", out, "--labeler", labeler, "--workers", 1, *more)
        assert answer.status == 0, answer.err
        return out

    return command


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def maps_of(folder):
    return {name: content for name, content in files(folder).items() if name.startswith(MAPS)}


def instances_of(folder):
    entries = [json.loads(file.read_text()) for file in sorted((folder / "instances").glob("*.json"))]
    return [entry["instances"] for entry in entries]


def test_a_run_leaves_its_files_and_a_labeler_that_has_the_refiner(refine, shapes_voc, refined, tiny_run, tmp_path):
    answer = refine(shapes_voc, tmp_path / "run")
    assert answer.status == 0, answer.err
    assert answer.out == f"{tmp_path / 'run' / LABELER.file_name}\n"
    assert set(files(tmp_path / "run")) == RUN
    log = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(4))
    assert all(entry[name] > 0 for entry in log for name in ("known", "reach", "pairwise"))
    assert LABELER.load_facts(tmp_path / "run").label["refine"] is True
    assert LABELER.load_facts(tmp_path / "run").label["image_side"] == 129  # as the labeler has it
    labeler = Labeler.load(tmp_path / "run")
    assert labeler.classes == CLASSES
    assert labeler.refiner.settings.crop_size == 33
    for name in (REFINER.file_name, LABELER.file_name):  # the function does as the command does
        assert (tmp_path / "run" / name).read_bytes() == (refined / name).read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_a_cut_run_too(refine, shapes_voc, refined, tmp_path, monkeypatch):
    assert refine(shapes_voc, tmp_path / "other", "--seed", 1).status == 0
    original, calls = task_module.RefineTask.loss, []

    def fails_at_the_third(self, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(task_module.RefineTask, "loss", fails_at_the_third)
        assert refine(shapes_voc, tmp_path / "cut", "--checkpoint-seconds", 0).status == 130
    assert set(files(tmp_path / "cut")) == RUN - {REFINER.file_name, LABELER.file_name}
    refused(refine(shapes_voc, tmp_path / "cut", "--seed", 1), "belongs to a run with other seed;")
    assert refine(shapes_voc, tmp_path / "cut").status == 0
    for name in (REFINER.file_name, LABELER.file_name):
        whole, cut, other = ((folder / name).read_bytes() for folder in (refined, tmp_path / "cut", tmp_path / "other"))
        assert whole == cut
        assert whole != other


def test_a_finished_run_is_left_as_it_is(refine, shapes_voc, refined, tmp_path, monkeypatch):
    run = shutil.copytree(refined, tmp_path / "run")
    before = files(run)
    monkeypatch.setattr(train_module, "training_loop", None)  # a second training would fail
    assert refine(shapes_voc, run).out == f"{run / LABELER.file_name}\n"
    assert files(run) == before
    refused(refine(shapes_voc, run, "--epochs", 5), CHECKPOINT, "settings.epochs")
    assert files(run) == before


@pytest.mark.parametrize("content", [None, b"torn"])
def test_a_finished_run_whose_labeler_is_lost_gets_it_back(refine, shapes_voc, refined, tmp_path, monkeypatch, content):
    run = shutil.copytree(refined, tmp_path / "run")
    (run / LABELER.file_name).unlink()
    if content is not None:
        (run / LABELER.file_name).write_bytes(content)
    monkeypatch.setattr(train_module, "training_loop", None)
    assert refine(shapes_voc, run).status == 0
    assert files(run) == files(refined)


def test_without_a_labeler_the_refiner_is_joined_to_bana_s_own(refine, shapes_voc, refined, tmp_path):
    run = shutil.copytree(refined, tmp_path / "run")
    assert refine(shapes_voc, run, labeler=None).status == 0
    labeler = Labeler.load(run)
    assert "aeroplane" in labeler.classes
    assert labeler.settings.refine
    assert labeler.refiner is not None


def test_a_labeler_with_a_refiner_is_a_start_and_gets_the_new_one(
    refine, preset, shapes_voc, refined, tiny_run, tmp_path
):
    """After one epoch at a learning rate of next to nothing the refiner is the one that it began with."""
    content = yaml.safe_load(preset.read_text())
    content["refine"] |= {"start": "labeler", "epochs": 1, "lr_head": 1e-9, "lr_backbone": 1e-9}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(content))
    more = ("--preset", tmp_path / "again.yaml")
    answer = refine(shapes_voc, tmp_path / "run", *more, labeler=refined)
    assert answer.status == 0, answer.err
    (old, _), (new, facts) = REFINER.load(refined), REFINER.load(tmp_path / "run")
    assert facts.settings.start == "labeler"
    assert facts.training["labeler"] is not None
    for name, value in old.state_dict().items():
        torch.testing.assert_close(new.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    joined, _ = REFINER.load(LABELER.path(tmp_path / "run"))
    assert torch.equal(joined.head.output.weight, new.head.output.weight)
    first, second = (LABELER.load(each)[0].trained_state() for each in (tiny_run, tmp_path / "run"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_options_overrule_the_preset(refine, shapes_voc, tmp_path):
    assert refine(shapes_voc, tmp_path / "run", "--epochs", 1).status == 0
    assert REFINER.load_facts(tmp_path / "run").settings.epochs == 1
    refused(refine(shapes_voc, tmp_path / "other", "--epochs", 0), "epochs")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"backbone": "lite9"}, "lite9"),
        ({"crop_size": 70}, "crop_size: 70 is not a multiple of 32 plus 1"),
        ({"crop_size": 1}, "crop_size"),
        ({"context": 0.5}, "context"),
        ({"looseness": 2}, "looseness"),
        ({"depth": 3}, "depth"),
    ],
)
def test_bad_settings_are_refused(refine, preset, shapes_voc, tmp_path, changes, named):
    content = yaml.safe_load(preset.read_text())
    content["refine"] |= changes
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(content))
    refused(refine(shapes_voc, tmp_path / "run", "--preset", tmp_path / "bad.yaml"), named)
    assert not (tmp_path / "run").exists()


def test_labels_that_are_missing_or_of_other_classes_are_refused(refine, shapes_voc, true_labels, tmp_path):
    refused(refine(shapes_voc, tmp_path / "run", labels=tmp_path / "none"), tmp_path / "none", "labels.json")
    refused(refine(shapes_voc, tmp_path / "run", labels=shapes_voc), "holds no labels.json")
    other = shutil.copytree(true_labels, tmp_path / "labels")
    manifest = json.loads((other / "labels.json").read_text())
    (other / "labels.json").write_text(json.dumps(manifest | {"classes": [*CLASSES[:2], "star"]}))
    refused(refine(shapes_voc, tmp_path / "run", labels=other), "class 3 is 'star' there and 'cross' here")
    (other / "labels.json").write_text(json.dumps(manifest))
    (other / "agreed/c.png").unlink()
    refused(refine(shapes_voc, tmp_path / "run", labels=other), "image c has no labels; run bana label on it, or skip")
    assert not (tmp_path / "run").exists()
    skipped = refine(shapes_voc, tmp_path / "run", "--on-error", "skip", labels=other)
    assert skipped.status == 1
    assert "image c has no labels" in (tmp_path / "run/rejected.jsonl").read_text()
    assert REFINER.load_facts(tmp_path / "run").training["images"] == 5


def test_boxes_that_have_changed_since_are_refused(refine, true_labels, tmp_path):
    size, shapes = IMAGES["b"]
    data = write_shapes(tmp_path / "voc", IMAGES | {"b": (size, shapes[:1])})
    answer = refine(data, tmp_path / "run")
    refused(answer, true_labels / "instances/b.json", "run bana label again")
    assert not (tmp_path / "run").exists()


def test_a_data_set_without_a_box_that_is_large_enough_is_refused(refine, preset, shapes_voc, tmp_path):
    content = yaml.safe_load(preset.read_text())
    content["refine"]["min_side"] = 90
    (tmp_path / "large.yaml").write_text(yaml.safe_dump(content))
    answer = refine(shapes_voc, tmp_path / "run", "--preset", tmp_path / "large.yaml")
    refused(answer, "no image with labeled boxes is left to train on")
    assert set(files(tmp_path / "run")) == {"rejected.jsonl"}


def test_an_image_that_cannot_be_read_is_refused_in_one_line(refine, tmp_path):
    refused(refine(truncated_image(tmp_path / "voc"), tmp_path / "run"), "a.jpg")
    assert not (tmp_path / "run").exists()


def test_a_labeler_that_is_missing_or_damaged_is_refused_before_training(refine, shapes_voc, tmp_path):
    refused(refine(shapes_voc, tmp_path / "run", labeler=tmp_path / "none"), tmp_path / "none", "no such file")
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"\x80\x04\x95 a pickle perhaps")
    refused(refine(shapes_voc, tmp_path / "run", labeler=torn), torn)
    assert not (tmp_path / "run").exists()


def test_what_is_no_labeler_is_refused_before_training(refine, shapes_voc, refined, tmp_path):
    answer = refine(shapes_voc, tmp_path / "run", labeler=refined / REFINER.file_name)
    refused(answer, f"{REFINER.file_name}: not a labeler")
    assert not (tmp_path / "run").exists()


def test_a_run_labels_with_its_refiner(refined, tiny_run, shapes_voc):
    """Every box has an expected IoU; the labels are others than those of the labeler alone."""
    record = read_dataset(shapes_voc)[3]
    image = open_record_image(record)
    plain, labeler = Labeler.load(tiny_run, threads=1), Labeler.load(refined, threads=1)
    assert plain.refiner is None
    labels = labeler(image, record.boxes, record.class_ids)
    assert all(0 <= instance.expected_iou <= 1 for instance in labels.instances)
    assert not np.array_equal(labels.y_crf, plain(image, record.boxes, record.class_ids).y_crf)
    for other in (
        labeler.for_classes(CLASSES),
        labeler.with_settings(labeler.settings),
        labeler.for_classes(("a", "b", "c")),
    ):
        assert other(image, record.boxes, record.class_ids).instances[0].expected_iou is not None
    without = labeler.with_settings(labeler.settings.with_options(refine=False))
    alone = without(image, record.boxes, record.class_ids)
    assert np.array_equal(alone.y_crf, plain(image, record.boxes, record.class_ids).y_crf)
    assert all(instance.expected_iou is None for instance in alone.instances)


def test_bana_label_takes_the_refiner_of_a_run(label, refined, tiny_run, pair, tmp_path):
    """Without it, labels are those of the labeler that it was joined to, to the byte."""
    plain, with_refiner = label(tmp_path / "plain", tiny_run), label(tmp_path / "refined", refined)
    without = label(tmp_path / "without", refined, "--no-refine")
    assert maps_of(without) == maps_of(plain)
    assert instances_of(without) == instances_of(plain)
    assert len(maps_of(plain)) == 2 * len(MAPS)
    assert maps_of(with_refiner)["y_crf/b.png"] != maps_of(plain)["y_crf/b.png"]
    settings = [json.loads((out / "labels.json").read_text())["method"]["settings"] for out in (with_refiner, without)]
    assert [each["refine"] for each in settings] == [True, False]
    for entries, expected in ((instances_of(with_refiner), True), (instances_of(plain), False)):
        assert all((entry["expected_iou"] is not None) == expected for image in entries for entry in image)
    for record in read_dataset(pair):
        labeled = LabelFolder(with_refiner).boxes(record)
        assert [box.score for box in labeled] == [box.expected_iou for box in labeled]
        labeled = LabelFolder(plain).boxes(record)
        assert [box.score for box in labeled] == [box.confidence for box in labeled]


def test_asking_a_labeler_without_a_refiner_to_refine_changes_no_label(label, tiny_run, tmp_path):
    plain, asked = label(tmp_path / "plain", tiny_run), label(tmp_path / "asked", tiny_run, "--refine")
    assert maps_of(asked) == maps_of(plain)
