"""`bana affinity` as a user meets it: the run folder, resuming, errors; and labeling with what it leaves."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import bana
from bad_data import refused, truncated_image
from bana.affinity import task as task_module
from bana.affinity.model import AFFINITY
from bana.affinity.walk import random_walk, transition
from bana.classify.model import LABELER
from bana.classify.task import ClassifyTask
from bana.data.images import open_record_image
from bana.data.reading import read_dataset
from bana.engine.loop import CHECKPOINT, LOG
from bana.label.labeler import Labeler
from bana.label.methods.choose import RELIABLE, MethodChoice
from bana.nn import train as train_module
from bana.nn.network import network_input
from bana.nn.train import train
from densecrf import DenseCRF
from shapes_data import CLASSES, IMAGES, write_shapes

RUN = {"settings.json", "rejected.jsonl", LOG, CHECKPOINT, AFFINITY.file_name, LABELER.file_name}


@pytest.fixture(scope="module")
def image_run(shapes_voc, tiny_settings, tmp_path_factory):
    """A classifier of whole images."""
    out = tmp_path_factory.mktemp("image") / "run"
    settings = tiny_settings.model_copy(update={"pooling": "image", "epochs": 20})
    train(ClassifyTask(settings, label_settings={"image_side": 129}), read_dataset(shapes_voc), out)
    return out


@pytest.fixture(scope="module")
def preset(tiny_affinity_settings, tmp_path_factory):
    """A preset file of two epochs."""
    settings = tiny_affinity_settings.model_dump(mode="json") | {"epochs": 2, "crop_size": 65, "image_side": 129}
    file = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    file.write_text(yaml.safe_dump({"affinity": settings}))
    return file


@pytest.fixture
def affinity(run_cli, preset, image_run):
    def command(data, out, *more, labeler=image_run):
        return run_cli("affinity", data, "--labeler", labeler, "--out", out, "--preset", preset, *more)

    return command


@pytest.fixture(scope="module")
def trained(preset, shapes_voc, image_run, tmp_path_factory):
    """A finished run; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    file = bana.affinity(shapes_voc, image_run, out, preset=preset, quiet=True)
    assert file == out / LABELER.file_name
    return out


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def label_map(folder, name, kind="y_crf"):
    return np.array(Image.open(folder / kind / f"{name}.png"))


def test_a_run_leaves_its_files_and_a_labeler_that_has_the_network(affinity, shapes_voc, trained, image_run, tmp_path):
    answer = affinity(shapes_voc, tmp_path / "run")
    assert answer.status == 0, answer.err
    assert answer.out == f"{tmp_path / 'run' / LABELER.file_name}\n"
    assert {name for name in files(tmp_path / "run") if not name.startswith("labels/")} == RUN
    log = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(4))
    assert all({"object", "background", "apart"} < entry.keys() and entry["loss"] > 0 for entry in log)
    first, second = (LABELER.load(each)[0].trained_state() for each in (image_run, tmp_path / "run"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    joined, alone = (AFFINITY.load(tmp_path / "run" / each)[0] for each in (LABELER.file_name, AFFINITY.file_name))
    assert torch.equal(joined.head.mix.weight, alone.head.mix.weight)
    for name in (AFFINITY.file_name, LABELER.file_name):  # the function does as the command does
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes()


def test_a_cut_run_goes_on_and_gives_the_same_bytes(affinity, shapes_voc, trained, tmp_path, monkeypatch):
    original, calls = task_module.AffinityTask.loss, []

    def fails_at_the_third(self, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(task_module.AffinityTask, "loss", fails_at_the_third)
        assert affinity(shapes_voc, tmp_path / "cut", "--checkpoint-seconds", 0).status == 130
    refused(affinity(shapes_voc, tmp_path / "cut", "--seed", 1), "belongs to a run with other seed;")
    assert affinity(shapes_voc, tmp_path / "cut").status == 0
    assert (tmp_path / "cut" / AFFINITY.file_name).read_bytes() == (trained / AFFINITY.file_name).read_bytes()


def test_a_finished_run_is_left_as_it_is(affinity, shapes_voc, trained, tiny_run, tmp_path, monkeypatch):
    run = shutil.copytree(trained, tmp_path / "run")
    before = files(run)
    monkeypatch.setattr(train_module, "training_loop", None)  # a second training would fail
    assert affinity(shapes_voc, run).status == 0
    assert files(run) == before
    refused(affinity(shapes_voc, run, "--epochs", 5), CHECKPOINT, "settings.epochs")
    assert files(run) == before


def test_the_labels_learned_are_sure_objects_and_sure_background(trained, image_run, shapes_voc):
    """By the CAMs and the CRF: the background's score to the power of 4 and of 24."""
    record = read_dataset(shapes_voc)[1]
    image = open_record_image(record)
    reliable = MethodChoice(RELIABLE, {"": image_run}).open(CLASSES, 1)
    maps = cams(image_run, record, image.shape[:2])
    expected = []
    for power in (4, 24):
        scores = np.concatenate([(1 - maps.max(0, keepdims=True)) ** power, maps])
        chosen = DenseCRF(threads=1)(image, probabilities=scores / scores.sum(0)).argmax(0)
        expected.append(np.array([0, *np.unique(record.class_ids)])[chosen])
    labels = reliable(image, record.boxes, record.class_ids)
    np.testing.assert_array_equal(labels.y_crf, expected[0])
    np.testing.assert_array_equal(labels.y_ret, expected[1])
    np.testing.assert_array_equal(label_map(trained / "labels", record.image_id, "agreed"), labels.agreed)
    assert (labels.agreed == 255).any()


def cams(run, record, size):
    """The CAMs of a record's classes, each divided by its maximum: (V - 1, *size)."""
    model, facts = LABELER.load(run)
    with torch.inference_mode():
        features = model(network_input(open_record_image(record), facts.label["image_side"], 32))
        maps = torch.einsum("chw,vc->vhw", features[0], model.class_weights[np.unique(record.class_ids)]).relu()
    maps = torch.nn.functional.interpolate(maps[None], size, mode="bilinear", align_corners=True)[0].double()
    return (maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)).numpy().clip(0, 1)


def test_labels_are_those_of_the_walk(trained, shapes_voc):
    """By hand: CAMs and background on the network's grid, 256 steps, enlarged, then the CRF."""
    record = read_dataset(shapes_voc)[1]
    image = open_record_image(record)
    network, facts = AFFINITY.load(trained / LABELER.file_name)
    with torch.inference_mode():
        features = network(network_input(image, 129, 32))[0]
    maps = torch.from_numpy(cams(trained, record, tuple(features.shape[1:]))).float()
    maps = torch.cat([(1 - maps.amax(0, keepdim=True)) ** 16, maps])
    walked = random_walk(transition(features, facts.settings.radius, 8.0), maps, 256)
    scores = torch.nn.functional.interpolate(walked[None], image.shape[:2], mode="bilinear", align_corners=True)[0]
    marginals = DenseCRF(threads=1)(image, probabilities=(scores / scores.sum(0)).numpy())
    labels = MethodChoice("affinity", {"": trained}).open(CLASSES, 1)(image, record.boxes, record.class_ids)
    expected = np.array([0, *np.unique(record.class_ids)])[marginals.argmax(0)]
    assert (labels.y_crf == expected).mean() > 0.99  # the interpolation is that of other sums
    np.testing.assert_allclose(labels.confidence, marginals.max(0), atol=0.02)
    np.testing.assert_array_equal(labels.y_crf, labels.y_ret)


def test_bana_label_walks_with_the_network_of_a_run(run_cli, shapes_voc, trained, tmp_path):
    """The labels are others than the CAMs' own, and of the image's classes alone."""
    for name in ("cam", "affinity"):
        command = ("label", shapes_voc, "--out", tmp_path / name, "--method", name, "--workers", 1)
        assert run_cli(*command, "--labeler", f"{name}={trained}").status == 0
    changed = 0
    for record in read_dataset(shapes_voc):
        walked, plain = (label_map(tmp_path / name, record.image_id) for name in ("affinity", "cam"))
        assert set(np.unique(walked)) <= {0, *record.class_ids}
        changed += int((walked != plain).any())
    assert changed >= 3


def test_an_image_without_objects_is_background(trained):
    labels = MethodChoice("affinity", {"": trained}).open(CLASSES, 1)(np.zeros((50, 60, 3), np.uint8), [], [])
    assert not labels.y_crf.any()
    assert (labels.confidence == 1).all()


def test_a_labeler_without_the_network_says_how_to_train_it(run_cli, shapes_voc, image_run, tmp_path):
    answer = run_cli("label", shapes_voc, "--out", tmp_path / "out", "--method", "affinity", "--labeler", image_run)
    refused(answer, "labeler.safetensors has no affinity network; train one with bana affinity")
    assert not (tmp_path / "out").exists()


def test_a_labeler_of_boxes_is_refused(affinity, shapes_voc, tiny_run, tmp_path):
    refused(affinity(shapes_voc, tmp_path / "run", labeler=tiny_run), "trained with --pooling image")
    refused(affinity(shapes_voc, tmp_path / "run", labeler=tmp_path / "none"), tmp_path / "none", "no such file")
    assert not (tmp_path / "run").exists()


def test_a_labeler_with_the_network_is_still_one_of_whole_images(trained, shapes_voc):
    record = read_dataset(shapes_voc)[0]
    image = open_record_image(record)
    assert MethodChoice("cam", {"": trained}).open(CLASSES, 1)(image, record.boxes, record.class_ids).y_crf.any()
    assert Labeler.load(trained).refiner is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"radius": 1}, "radius"),
        ({"crop_size": 70}, "crop_size"),
        ({"start": "labeler"}, "start"),
        ({"beta": 8}, "beta"),
    ],
)
def test_bad_settings_are_refused(affinity, preset, shapes_voc, tmp_path, changes, named):
    content = yaml.safe_load(preset.read_text())
    content["affinity"] |= changes
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(content))
    refused(affinity(shapes_voc, tmp_path / "run", "--preset", tmp_path / "bad.yaml"), named)


def test_an_image_that_cannot_be_read_is_refused_or_left_out(affinity, tmp_path):
    data = truncated_image(tmp_path / "voc")
    refused(affinity(data, tmp_path / "run"), "a.jpg")
    assert affinity(data, tmp_path / "run", "--on-error", "skip").status == 1
    assert "a.jpg" in (tmp_path / "run/rejected.jsonl").read_text()


def test_several_processes_are_refused(affinity, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    data = write_shapes(tmp_path / "voc", {"a": IMAGES["a"]})
    refused(affinity(data, tmp_path / "run"), "start it without torchrun")
