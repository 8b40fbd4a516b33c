"""`bana classify` as a user meets it: the run folder, resuming, errors."""

import json
import shutil

import pytest
import torch
import yaml

from bad_data import BAD_DATA, refused, refused_choice, truncated_image
from bana import Labeler
from bana.classify import task as task_module
from bana.classify.model import LABELER
from bana.data.pixel_values import PixelValues
from bana.engine.loop import CHECKPOINT, LOG
from bana.nn import train as train_module
from shapes_data import CLASSES, IMAGES, write_shapes

RUN = {"settings.json", "rejected.jsonl", LOG, CHECKPOINT, LABELER.file_name}


@pytest.fixture
def preset(tiny_settings, tmp_path):
    """A preset file of two epochs of small crops."""
    settings = tiny_settings.model_dump(mode="json") | {"epochs": 2}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({"classify": settings, "label": {"image_side": 129}}))
    return file


@pytest.fixture
def classify(run_cli, preset):
    def command(data, out, *more):
        return run_cli("classify", data, "--out", out, "--preset", preset, *more)

    return command


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_its_file_log_and_checkpoint(classify, shapes_voc, tmp_path):
    answer = classify(shapes_voc, tmp_path / "run")
    assert answer.status == 0
    assert answer.out == f"{tmp_path / 'run' / LABELER.file_name}\n"
    assert set(files(tmp_path / "run")) == RUN
    log = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(4))
    assert all(entry["loss"] > 0 for entry in log)
    assert LABELER.load_facts(tmp_path / "run").label["image_side"] == 129
    assert Labeler.load(tmp_path / "run").classes == CLASSES


def test_the_same_seed_gives_the_same_bytes(classify, shapes_voc, tmp_path):
    for name, seed in (("first", 0), ("second", 0), ("third", 1)):
        assert classify(shapes_voc, tmp_path / name, "--seed", seed).status == 0
    first, second, third = ((tmp_path / name / LABELER.file_name).read_bytes() for name in ("first", "second", "third"))
    assert first == second
    assert first != third


def test_options_overrule_the_preset(classify, shapes_voc, tmp_path):
    assert classify(shapes_voc, tmp_path / "run", "--pooling", "gap", "--epochs", 1).status == 0
    settings = LABELER.load_facts(tmp_path / "run").settings
    assert (settings.pooling, settings.epochs) == ("gap", 1)
    refused_choice(classify(shapes_voc, tmp_path / "other", "--pooling", "max"), "max", "bap", "gap", "image")
    refused(classify(shapes_voc, tmp_path / "other", "--epochs", 0), "epochs")
    assert not (tmp_path / "other").exists()


def test_an_interrupted_run_is_resumed_to_the_same_bytes(classify, shapes_voc, tmp_path, monkeypatch):
    assert classify(shapes_voc, tmp_path / "whole").status == 0
    original, calls = task_module.ClassifyTask.loss, []

    def fails_at_the_third(self, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(task_module.ClassifyTask, "loss", fails_at_the_third)
        assert classify(shapes_voc, tmp_path / "cut", "--checkpoint-seconds", 0).status == 130
    assert set(files(tmp_path / "cut")) == RUN - {LABELER.file_name}
    assert classify(shapes_voc, tmp_path / "cut").status == 0
    assert (tmp_path / "cut" / LABELER.file_name).read_bytes() == (tmp_path / "whole" / LABELER.file_name).read_bytes()


def test_a_finished_run_is_left_as_it_is(classify, shapes_voc, tmp_path, monkeypatch):
    first = classify(shapes_voc, tmp_path / "run")
    before = files(tmp_path / "run")
    monkeypatch.setattr(train_module, "training_loop", None)  # a second training would fail
    again = classify(shapes_voc, tmp_path / "run")
    assert (again.status, again.out) == (0, first.out)
    assert files(tmp_path / "run") == before


def test_a_finished_run_whose_file_is_lost_or_damaged_gets_it_back(classify, shapes_voc, tmp_path):
    classify(shapes_voc, tmp_path / "run")
    file = tmp_path / "run" / LABELER.file_name
    before = file.read_bytes()
    file.unlink()
    assert classify(shapes_voc, tmp_path / "run").status == 0
    assert file.read_bytes() == before
    file.write_bytes(before[:100])
    assert classify(shapes_voc, tmp_path / "run").status == 0
    assert file.read_bytes() == before


@pytest.mark.parametrize("left", [0, 100])
def test_a_finished_run_whose_settings_are_damaged_gets_them_back(classify, shapes_voc, tmp_path, monkeypatch, left):
    classify(shapes_voc, tmp_path / "run")
    file = tmp_path / "run" / "settings.json"
    before = file.read_bytes()
    file.write_bytes(before[:left])
    monkeypatch.setattr(train_module, "training_loop", None)  # a second training would fail
    assert classify(shapes_voc, tmp_path / "run").status == 0
    assert file.read_bytes() == before


def test_a_folder_of_another_run_is_refused_and_not_changed(classify, shapes_voc, tmp_path):
    classify(shapes_voc, tmp_path / "run")
    before = files(tmp_path / "run")
    refused(classify(shapes_voc, tmp_path / "run", "--epochs", 5), CHECKPOINT, "settings.epochs")
    refused(classify(shapes_voc, tmp_path / "run", "--seed", 5), "other seed;")
    data = shutil.copytree(shapes_voc, tmp_path / "voc")
    (data / "labels.txt").write_text("cross\ndisk\nsquare\n")
    refused(classify(data, tmp_path / "run"), "other data;")
    assert files(tmp_path / "run") == before


def test_a_damaged_checkpoint_is_refused(classify, shapes_voc, tmp_path):
    classify(shapes_voc, tmp_path / "run")
    checkpoint = tmp_path / "run" / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    before = files(tmp_path / "run")
    refused(classify(shapes_voc, tmp_path / "run"), checkpoint)
    torch.save({"model": 1}, checkpoint)
    refused(classify(shapes_voc, tmp_path / "run"), checkpoint)
    assert files(tmp_path / "run").keys() == before.keys()


@pytest.mark.parametrize("make", BAD_DATA, ids=lambda make: make.__name__)
def test_bad_data_is_refused_in_one_line(classify, tmp_path, make):
    refused(classify(make(tmp_path / "data"), tmp_path / "run"), BAD_DATA[make])
    assert not (tmp_path / "run").exists()


def test_skip_leaves_out_what_cannot_be_used(classify, tmp_path):
    answer = classify(truncated_image(tmp_path / "voc"), tmp_path / "run", "--on-error", "skip")
    assert answer.status == 1
    assert answer.out == f"{tmp_path / 'run' / LABELER.file_name}\n"
    assert "1 images left out" in answer.err
    (entry,) = [json.loads(line) for line in (tmp_path / "run/rejected.jsonl").read_text().splitlines()]
    assert entry["image_id"] == "a"
    assert LABELER.load_facts(tmp_path / "run").training["images"] == 1


def test_a_data_set_without_usable_images_is_refused(classify, tmp_path):
    data = truncated_image(tmp_path / "voc")
    (data / "ImageSets/Main/train.txt").write_text("a\n")
    refused(classify(data, tmp_path / "run", "--on-error", "skip"), data)
    assert set(files(tmp_path / "run")) == {"rejected.jsonl"}


@pytest.mark.parametrize(
    "shapes",
    [
        {"a": ((72, 72), (("square", (0, 0, 72, 72)),)), "b": ((60, 60), (("disk", (0, 0, 60, 60)),))},
        {"a": ((96, 72), (("disk", (10, 12, 50, 52)),)), "b": ((80, 80), (("disk", (20, 20, 60, 60)),))},
        {"a": ((96, 72), (("disk", (10, 12, 50, 52)),)), "b": ((80, 80), ())},
    ],
    ids=["boxes that cover everything", "one class", "an image without boxes"],
)
def test_unusual_data_is_learned(classify, tmp_path, shapes):
    assert classify(write_shapes(tmp_path / "voc", shapes), tmp_path / "run").status == 0
    state = Labeler.load(tmp_path / "run").model.trained_state()
    assert all(value.isfinite().all() for value in state.values())


def test_a_data_set_of_one_class_trains(classify, tmp_path):
    data = write_shapes(tmp_path / "voc", {"a": IMAGES["a"]})
    (data / "labels.txt").write_text("disk\n")
    assert classify(data, tmp_path / "run").status == 0
    assert Labeler.load(tmp_path / "run").classes == ("disk",)


def test_an_output_that_cannot_be_written_is_refused(classify, shapes_voc, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(classify(shapes_voc, tmp_path / "file"), tmp_path / "file")
    refused(classify(shapes_voc, tmp_path / "file/run"), tmp_path / "file")
    (tmp_path / "run" / LOG).mkdir(parents=True)
    refused(classify(shapes_voc, tmp_path / "run"), LOG)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_full_disk_leaves_whole_files(classify, shapes_voc, tmp_path, disk_full_after, after):
    with disk_full_after(after):
        refused(classify(shapes_voc, tmp_path / "run"), tmp_path / "run", "No space left on device")
    assert len(files(tmp_path / "run")) == after
    assert classify(shapes_voc, tmp_path / "run").status == 0
    assert set(files(tmp_path / "run")) == RUN


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"backbone": "lite9"}, "lite9"),
        ({"backbone": "timm:none"}, "none"),
        ({"crop_size": 70}, "crop_size"),
        ({"epochs": "many"}, "epochs"),
        ({"depth": 3}, "depth"),
        ({"backbone_weights": "none.pth"}, "none.pth"),
    ],
)
def test_bad_settings_are_refused(classify, preset, shapes_voc, tmp_path, changes, named):
    content = yaml.safe_load(preset.read_text())
    preset.write_text(yaml.safe_dump(content | {"classify": content["classify"] | changes}))
    refused(classify(shapes_voc, tmp_path / "run"), named)
    assert not (tmp_path / "run").exists()


def test_a_learning_rate_that_explodes_stops_the_run(classify, preset, shapes_voc, tmp_path):
    content = yaml.safe_load(preset.read_text())
    content["classify"] |= {"lr_head": 1e30, "epochs": 9, "optimizer": "sgd"}
    preset.write_text(yaml.safe_dump(content))
    refused(classify(shapes_voc, tmp_path / "run"), "the loss is", "lower the learning rate")
    assert not (tmp_path / "run" / LABELER.file_name).exists()


def test_how_images_were_read_is_kept_and_another_way_is_another_run(classify, shapes_voc, tmp_path):
    shutil.copytree(shapes_voc, tmp_path / "data")
    (tmp_path / "data" / "bana.yaml").write_text("images: {range: data, bands: [2]}")
    assert classify(tmp_path / "data", tmp_path / "run").status == 0
    expected = PixelValues("data", (2,))
    assert LABELER.load_facts(tmp_path / "run").values == expected
    assert Labeler.load(tmp_path / "run").for_classes(["x"]).values == expected
    (tmp_path / "data" / "bana.yaml").write_text("images: {range: data, bands: [1]}")
    refused(classify(tmp_path / "data", tmp_path / "run"), "values.bands")
