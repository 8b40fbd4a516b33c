"""`bana tune` as a user meets it: a better labeler, resuming, what it did not see, errors."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from bad_data import refused, refused_choice
from bana import Labeler, read_dataset
from bana.classify.model import LABELER
from bana.data.images import open_image
from bana.data.label_maps import read_label_map, write_label_map
from bana.data.truth import required_truth
from bana.evaluate import ConfusionMatrix, mean_iou
from bana.label import scoring
from bana.label.tune import RESULT, TRIALS, chosen_records, tune_labeler
from shapes_data import CLASSES, IMAGES, true_mask


@pytest.fixture(scope="module")
def masked(shapes_voc, tmp_path_factory):
    """The tiny data set with true masks; not to be changed."""
    root = shutil.copytree(shapes_voc, tmp_path_factory.mktemp("masked") / "voc")
    for name, (size, shapes) in IMAGES.items():
        write_label_map(root / "SegmentationClass" / f"{name}.png", true_mask(size, shapes))
    return root


@pytest.fixture(scope="module")
def bad_run(tiny_run, tmp_path_factory):
    """The tiny labeler with A kept as it is, which makes nearly everything background."""
    folder = tmp_path_factory.mktemp("bad")
    model, facts = LABELER.load(tiny_run)
    LABELER.save(folder / LABELER.file_name, model, replace(facts, label={**facts.label, "attention_threshold": 0.0}))
    return folder


@pytest.fixture(scope="module")
def searched(masked, bad_run, tmp_path_factory):
    """A finished grid search; not to be changed."""
    out = tmp_path_factory.mktemp("searched") / "out"
    tune_labeler(
        read_dataset(masked),
        bad_run,
        out,
        images=3,
        trials=9,
        method="grid",
        workers=1,
        console=Console(quiet=True),
    )
    return out


@pytest.fixture
def command(run_cli, masked, bad_run):
    """`bana tune` as `searched` was made, with other options after those."""

    def run(out, *more, data=masked):
        options = {"--labeler": bad_run, "--images": 3, "--trials": 9, "--search": "grid", "--workers": 1}
        options |= dict(zip(more[::2], more[1::2], strict=False))
        flags = [more[-1]] if len(more) % 2 else []
        return run_cli("tune", data, "--out", out, *(part for pair in options.items() for part in pair), *flags)

    return run


def trials_of(out):
    return [json.loads(line) for line in (out / TRIALS).read_text().splitlines()]


def result_of(out):
    return json.loads((out / RESULT).read_text())


def y_crf_miou(labeler, records, dataset):
    confusion = ConfusionMatrix(len(CLASSES) + 1)
    for record in records:
        labels = labeler(open_image(record.path), record.boxes, record.class_ids)
        confusion.update(labels.y_crf, required_truth(record, dataset.class_table))
    return mean_iou(confusion)


def test_a_bad_labeler_becomes_better_on_images_that_were_not_searched_too(searched, bad_run, masked):
    result, dataset = result_of(searched), read_dataset(masked)
    before, after = result["before"], result["after"]
    assert after["searched"] > before["searched"] + 10
    assert after["unseen"] > before["unseen"] + 10
    assert after["settings"]["attention_threshold"] > 0 == before["settings"]["attention_threshold"]
    tuned = Labeler.load(searched, threads=1)
    assert tuned.settings.model_dump() == after["settings"]
    assert tuned.settings.image_side == 129
    parts = dict(zip(("searched", "unseen"), chosen_records(dataset, 3, seed=0), strict=True))
    for name, records in parts.items():
        assert [record.image_id for record in records] == result[f"{name}_images"]
        assert y_crf_miou(tuned, records, dataset) == pytest.approx(after[name], abs=0.05)
        assert y_crf_miou(Labeler.load(bad_run, threads=1), records, dataset) == pytest.approx(before[name], abs=0.05)


def test_every_trial_is_written(searched, bad_run):
    trials, result = trials_of(searched), result_of(searched)
    assert [trial["step"] for trial in trials] == list(range(9))
    assert result["trials"] == 9
    assert trials[0]["settings"] == result["before"]["values"]
    assert trials[0]["settings"]["attention_threshold"] == 0.0
    assert trials[0]["miou"] == result["before"]["searched"]
    assert max(trial["miou"] for trial in trials) == result["after"]["searched"]
    assert {"seed", "method", "parameters", "labeler", "settings"} <= result.keys()


def test_bana_label_uses_the_folder(run_cli, searched, masked, tmp_path):
    out = tmp_path / "labels"
    assert run_cli("label", masked, "--out", out, "--labeler", searched, "--workers", 1).status == 0
    assert (
        json.loads((out / "labels.json").read_text())["method"]["settings"] == result_of(searched)["after"]["settings"]
    )
    record = read_dataset(masked)[0]
    labels = Labeler.load(searched, threads=1)(open_image(record.path), record.boxes, record.class_ids)
    assert (read_label_map(out / "y_crf/a.png", record.width, record.height) == labels.y_crf).mean() > 0.999


def test_images_of_the_confirmation_are_others(masked):
    dataset = read_dataset(masked)
    drawn = [
        tuple([record.image_id for record in part] for part in chosen_records(dataset, 2, seed)) for seed in (0, 1)
    ]
    for searched, unseen in drawn:
        assert len(searched) == len(unseen) == 2
        assert not set(searched) & set(unseen)
    assert drawn[0] != drawn[1]
    assert [len(part) for part in chosen_records(dataset, 4, 0)] == [4, 2]
    assert [len(part) for part in chosen_records(dataset, 100, 0)] == [6, 0]


def test_the_search_does_not_look_at_them_and_the_network_sees_every_image_once(
    command, masked, searched, tmp_path, monkeypatch
):
    passed, labeled = [], []
    features, answer = Labeler.features, scoring.Bench.__call__

    def counted_features(self, image):
        passed.append(image.shape)
        return features(self, image)

    def counted_answer(self, item):
        labeled.append(item[0].image_id)
        return answer(self, item)

    monkeypatch.setattr(Labeler, "features", counted_features)
    monkeypatch.setattr(scoring.Bench, "__call__", counted_answer)
    assert command(tmp_path / "out", "--trials", 6).status == 0
    result = result_of(tmp_path / "out")
    assert labeled == result["searched_images"] * 6 + result["unseen_images"] * 2
    assert len(passed) == 6
    assert command(tmp_path / "out", "--trials", 9).status == 0  # more trials go on from there, features and all
    assert len(passed) == 6
    assert (tmp_path / "out" / TRIALS).read_bytes() == (searched / TRIALS).read_bytes()


@pytest.mark.parametrize("search", ["grid", "random"])
def test_a_killed_run_goes_on_to_the_same_end(command, tmp_path, monkeypatch, search):
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ("--search", search, "--trials", 6)
    assert command(whole, *options).status == 0
    answer, labeled = scoring.Bench.__call__, []

    def killed(self, item):
        labeled.append(item)
        if len(labeled) == 11:  # in the middle of the fourth trial
            raise KeyboardInterrupt
        return answer(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(scoring.Bench, "__call__", killed)
        assert command(out, *options).status == 130
    assert len(trials_of(out)) == 3
    assert not (out / LABELER.file_name).exists()
    (out / TRIALS).write_text((out / TRIALS).read_text() + '{"step": 3, "sett')  # torn
    passed = []
    monkeypatch.setattr(
        Labeler, "features", lambda self, image, call=Labeler.features: passed.append(1) or call(self, image)
    )
    assert command(out, *options).status == 0
    assert len(passed) == 3  # those that the search did not see
    for name in (TRIALS, RESULT, LABELER.file_name):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_trials_that_this_search_would_not_have_tried_are_done_again(command, searched, tmp_path):
    out = shutil.copytree(searched, tmp_path / "out")
    lines = (out / TRIALS).read_text().splitlines()
    for number, wrong in {2: "[]", 3: '{"step": 3, "settings": {}, "miou": 99.0}', 4: lines[5]}.items():
        (out / TRIALS).write_text("\n".join([*lines[:number], wrong, *lines[number + 1 :]]) + "\n")
        assert command(out).status == 0
        assert (out / TRIALS).read_text().splitlines() == lines
    (out / "cache" / f"{result_of(out)['searched_images'][0]}.safetensors").write_bytes(b"torn")
    (out / TRIALS).unlink()
    assert command(out).status == 0
    assert (out / TRIALS).read_text().splitlines() == lines


@pytest.mark.slow
def test_two_workers_find_the_same(command, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for out, workers in ((one, 1), (two, 2)):
        options = ("--search", "random", "--images", 6, "--trials", 4, "--workers", workers)
        assert command(out, *options).status == 0
    for name in (TRIALS, RESULT, LABELER.file_name):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert len(trials_of(two)) == 4


def test_what_is_printed(command, searched, tmp_path):
    out = shutil.copytree(searched, tmp_path / "out")
    answer = command(out)
    assert answer.status == 0
    result = result_of(searched)
    before, after = result["before"], result["after"]
    assert (
        f"searched on 3 images: {before['searched']:.1f} -> {after['searched']:.1f}; "
        f"on 3 images it did not see: {before['unseen']:.1f} -> {after['unseen']:.1f}"
    ) in answer.out
    for name in (*before["values"], str(out / LABELER.file_name)):
        assert name in answer.out
    assert json.loads(command(out, "--json").out) == result == result_of(out)


def test_without_other_images_it_says_so(command, tmp_path):
    answer = command(tmp_path / "out", "--images", 100, "--trials", 1)
    assert answer.status == 0
    assert "no images are left to measure the gain on" in answer.out
    assert "searched on 6 images" in answer.out
    result = result_of(tmp_path / "out")
    assert result["unseen_images"] == []
    assert result["before"] == result["after"]
    assert result["after"]["unseen"] is None


def test_a_folder_of_another_search_is_refused_and_stays(command, masked, searched, tiny_run, tmp_path):
    out = shutil.copytree(searched, tmp_path / "out")
    data = shutil.copytree(masked, tmp_path / "voc")
    for name in IMAGES:
        write_label_map(data / "SegmentationClass" / f"{name}.png", np.zeros(IMAGES[name][0][::-1], np.uint8))
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    refused(command(out, "--labeler", tiny_run), out, "other labeler, settings")
    refused(command(out, "--images", 2), out, "searched_images")
    refused(command(out, "--search", "random"), out, "method")
    refused(command(out, "--seed", 1), out, "seed")
    refused(command(out, data=data), out, "other input_digest;")
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_the_run_of_a_labeler_is_not_written_over(command, bad_run, tmp_path):
    before = (bad_run / LABELER.file_name).read_bytes()
    refused(command(bad_run), bad_run / LABELER.file_name, "another run")
    whole = tmp_path / "run"
    shutil.copytree(bad_run, whole / "classify")  # as bana run has it
    refused(command(whole), whole / "classify" / LABELER.file_name)
    assert {file.name for file in bad_run.iterdir()} == {LABELER.file_name}
    assert (bad_run / LABELER.file_name).read_bytes() == before


def test_bad_options(command, shapes_voc, masked, tmp_path):
    out = tmp_path / "out"
    refused(command(out, "--images", 1), "images: 1")
    refused(command(out, "--trials", 0), "trials: 0")
    refused_choice(command(out, "--search", "bayes"), "bayes", "grid", "random")
    refused(command(out, "--split", "val"), "val")
    refused(command(out, "--labeler", tmp_path / "none"), tmp_path / "none")
    refused(command(out, data=tmp_path / "nowhere"), tmp_path / "nowhere")
    refused(command(out, data=shapes_voc), ".jpg", "no true mask")
    one = shutil.copytree(masked, tmp_path / "one")
    (one / "ImageSets/Main/train.txt").write_text("a\n")
    refused(command(out, data=one), one, "1 image")
    photo = shutil.copytree(masked, tmp_path / "torn") / "JPEGImages/a.jpg"
    photo.write_bytes(photo.read_bytes()[:-1500])
    refused(command(out, data=photo.parents[1]), photo)
    assert not out.exists()
    (tmp_path / "file").write_text("mine")
    refused(command(tmp_path / "file"), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_masks_that_hold_nothing(command, masked, tmp_path):
    data = shutil.copytree(masked, tmp_path / "voc")
    for name in IMAGES:
        write_label_map(data / "SegmentationClass" / f"{name}.png", np.full(IMAGES[name][0][::-1], 255, np.uint8))
    refused(command(tmp_path / "out", data=data), ".jpg", "void")


def test_a_full_disk_ends_in_one_line_and_the_run_can_go_on(command, searched, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        refused(command(tmp_path / "out"), "No space left on device")
    assert command(tmp_path / "out").status == 0
    assert (tmp_path / "out" / TRIALS).read_bytes() == (searched / TRIALS).read_bytes()


def test_a_tuned_labeler_keeps_its_refiner(command, tiny_refine_run, tmp_path):
    out = tmp_path / "out"
    answer = command(out, "--labeler", tiny_refine_run, "--trials", 1)
    assert answer.status == 0, answer.err
    kept, before = (Labeler.load(run).refiner for run in (out, tiny_refine_run))
    ours, theirs = kept.model.state_dict(), before.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert Labeler.load(out).settings.refine
