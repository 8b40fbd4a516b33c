"""`bana run` and `bana reproduce` as a user meets them."""

import io
import json
import shutil
from functools import partial

import pytest
import yaml
from PIL import Image
from rich.console import Console

from bad_data import refused, refused_choice
from bana.data.reading import read_dataset
from bana.engine.distributed import RuntimeConfig
from bana.pipeline.recipe import Recipe
from bana.pipeline.run import run_pipeline
from bana.presets import load_preset
from bana.segment import task as task_module
from shapes_data import IMAGES

STEPS = ["classify", "evaluate", "evaluate labels", "labels", "picture", "segment"]


@pytest.fixture
def run(run_cli, preset):
    def command(data, out, *more):
        return run_cli("run", data, "--out", out, "--preset", preset, "--workers", 1, *more)

    return command


def contents(folder):
    """The files by name; those that hold times or speeds are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"timings.json", "log.jsonl"}
    }


def test_a_run_ends_with_a_network_and_a_second_call_skips_all_steps(run, data, tmp_path):
    answer = run(data, tmp_path / "run", "--split", "train", "--json")
    assert answer.status == 0, answer.err
    result = json.loads(answer.out)
    assert (result["images"], result["skipped"], result["scored_on"]) == (len(IMAGES), [], "training")
    assert sorted(result["seconds"]) == STEPS
    assert 0 < result["network"]["crf"]["miou"] <= 100
    assert 0 < result["labels"]["y_crf"]["miou"] <= 100
    with Image.open(result["picture"]) as picture:
        assert picture.width == 1600
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {"settings", "seed", "versions", "data", "metrics", "steps"} <= facts.keys()
    assert facts["metrics"]["network"] == result["network"]
    assert facts["data"]["images"] == len(IMAGES)
    before = contents(tmp_path / "run")
    again = run(data, tmp_path / "run", "--split", "train")
    assert again.status == 0
    assert contents(tmp_path / "run") == before
    assert again.out.count("unchanged") == 6
    assert "network, without boxes" in again.out


def test_only_steps_that_depend_on_a_change_are_repeated(run, preset, data, tmp_path):
    assert run(data, tmp_path / "run", "--split", "train").status == 0
    other = tmp_path / "other.yaml"
    recipe = yaml.safe_load(preset.read_text())
    recipe["segment"]["lam"] = 0.5
    other.write_text(yaml.safe_dump(recipe))
    answer = run(data, tmp_path / "run", "--split", "train", "--preset", other, "--json")
    assert json.loads(answer.out)["skipped"] == ["classify", "evaluate labels", "labels"]
    answer = run(data, tmp_path / "run", "--split", "train", "--val-split", "val", "--preset", other, "--json")
    assert json.loads(answer.out)["scored_on"] == "validation"


@pytest.fixture(scope="module")
def whole_run(preset, data, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    dataset, recipe = read_dataset(data, "train"), load_preset(str(preset), Recipe)
    run_pipeline(dataset, None, recipe, out, workers=1, console=Console(file=io.StringIO()))
    return out


def test_epochs_that_are_asked_for_are_those_of_the_network(run, data, tmp_path):
    assert run(data, tmp_path / "run", "--split", "train", "--epochs", 3).status == 0
    steps = {name: json.loads(lines[-1])["step"] for name, lines in logs(tmp_path / "run").items()}
    settings = json.loads((tmp_path / "run/segment/settings.json").read_text())["settings"]
    assert (settings["epochs"], settings["min_steps"]) == (3, 0)
    assert steps["segment"] == 3 * -(-len(IMAGES) // settings["batch_size"]) - 1


def logs(run):
    return {file.parent.name: file.read_text().splitlines() for file in run.glob("*/log.jsonl")}


@pytest.mark.parametrize("step", [1, 3])
def test_an_interrupted_run_ends_with_the_same_files(run, data, whole_run, tmp_path, monkeypatch, step):
    true_loss, calls = task_module.SegmentTask.loss, []

    def cut_loss(self, batch):
        calls.append(None)
        if len(calls) == step:
            raise KeyboardInterrupt
        return true_loss(self, batch)

    monkeypatch.setattr(task_module.SegmentTask, "loss", cut_loss)
    monkeypatch.setattr("bana.engine.distributed.RuntimeConfig", partial(RuntimeConfig, checkpoint_seconds=0.0))
    assert run(data, tmp_path / "cut", "--split", "train").status == 130
    assert not (tmp_path / "cut" / "run.png").exists()
    assert run(data, tmp_path / "cut", "--split", "train").status == 0
    assert contents(tmp_path / "cut") == contents(whole_run)


def test_a_network_of_a_run_is_found(run_cli, whole_run, data, tmp_path):
    photo = data / "JPEGImages/a.jpg"
    assert run_cli("predict", whole_run, photo, "--out", tmp_path / "masks", "--workers", 1).status == 0
    assert (tmp_path / "masks/labels/a.png").is_file()
    labels = tmp_path / "labels"
    labeled = run_cli("label", data, "--split", "train", "--labeler", whole_run, "--out", labels, "--workers", 1)
    assert labeled.status == 0


def test_without_true_masks_there_are_no_scores(run, shapes_voc, tmp_path):
    answer = run(shapes_voc, tmp_path / "run")
    assert answer.status == 0
    assert "No scores" in answer.out
    assert (tmp_path / "run" / "run.png").is_file()


def test_images_that_cannot_be_used_are_left_out(run, data, tmp_path):
    damaged = tmp_path / "voc"
    shutil.copytree(data, damaged)
    photo = damaged / "JPEGImages/c.jpg"
    photo.write_bytes(photo.read_bytes()[:-1500])
    refused(run(damaged, tmp_path / "stop", "--split", "train"), "c.jpg")
    answer = run(damaged, tmp_path / "run", "--split", "train", "--on-error", "skip", "--json")
    assert answer.status == 1
    result = json.loads(answer.out)
    assert (result["images"], result["rejected"]) == (len(IMAGES) - 1, 1)
    assert result["network"]["crf"]["miou"] > 0


def test_validation_without_masks_is_refused_at_once(run, data, tmp_path):
    other = tmp_path / "voc"
    shutil.copytree(data, other)
    for folder in ("SegmentationClass", "SegmentationObject"):
        shutil.rmtree(other / folder)
    refused(run(other, tmp_path / "run", "--split", "train", "--val-split", "val"), "image a has no true mask")
    assert not (tmp_path / "run").exists()


def test_folders_that_no_run_made_are_refused(run, data, tmp_path):
    (tmp_path / "run" / "labels").mkdir(parents=True)
    refused(run(data, tmp_path / "run", "--split", "train"), "labels: was not made by this run; choose another --out")
    assert (tmp_path / "run" / "labels").is_dir()


def test_a_run_with_small_objects_only_has_a_picture(run, shapes_voc, tmp_path, monkeypatch):
    monkeypatch.setattr("bana.report.examples._MIN_SHARE", 2.0)
    assert run(shapes_voc, tmp_path / "run").status == 0
    assert (tmp_path / "run" / "run.png").is_file()


def test_a_missing_data_set_is_refused(run, tmp_path):
    refused(run(tmp_path / "nowhere", tmp_path / "run"), "nowhere: no such file or folder; check the path")


def reproduced(run_cli, preset, data, out, *more):
    answer = run_cli("reproduce", "table3", data, "--out", out, "--preset", preset, "--split", "train", *more)
    assert answer.status == 0, answer.err
    return answer.out


def test_a_table_is_made_row_by_row(run_cli, preset, data, tmp_path):
    one = ("--workers", 1)
    first = json.loads(reproduced(run_cli, preset, data, tmp_path, "--rows", "agreed,masks", "--json", *one))
    assert {name for name, row in first["rows"].items() if row["ours"]} == {"agreed", "masks"}
    assert first["rows"]["nal"]["paper"] == {"plain": 62.4, "crf": 68.1}
    made = contents(tmp_path)
    more = json.loads(reproduced(run_cli, preset, data, tmp_path, "--rows", "agreed,nal", "--seeds", 2, "--json", *one))
    assert {name: sorted(row["ours"]["crf"]) for name, row in more["rows"].items() if row["ours"]} == {
        "masks": ["0"],
        "agreed": ["0", "1"],
        "nal": ["0", "1"],
    }
    again = contents(tmp_path)
    assert all(again[name] == made[name] for name in made if name != "run.json")
    text = reproduced(run_cli, preset, data, tmp_path, "--rows", "agreed", *one)
    assert "true masks (the ceiling)" in text
    assert "67.5" in text


def test_a_folder_of_another_recipe_is_refused(run_cli, preset, data, tmp_path):
    reproduced(run_cli, preset, data, tmp_path / "out", "--rows", "agreed", "--workers", 1)
    other = tmp_path / "other.yaml"
    recipe = yaml.safe_load(preset.read_text())
    recipe["segment"]["gamma"] = 9.0
    other.write_text(yaml.safe_dump(recipe))
    answer = run_cli(
        "reproduce", "table3", data, "--out", tmp_path / "out", "--preset", other, "--split", "train", "--rows", "nal"
    )
    refused(answer, "holds runs with other settings; choose another --out")


def test_the_row_semi_learns_from_a_share_of_the_true_masks(run_cli, preset, data, tmp_path):
    answer = run_cli(
        "reproduce", "table4", data, "--out", tmp_path, "--preset", preset, "--split", "train", "--workers", 1,
        "--rows", "semi", "--mask-share", 0.34, "--json",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert json.loads((tmp_path / "semi-0" / "settings.json").read_text())["masked_images"] == 2


def test_an_unknown_row_is_refused(run_cli, preset, data, tmp_path):
    options = ("--out", tmp_path, "--preset", preset, "--split", "train", "--rows", "nal,magic")
    refused(run_cli("reproduce", "table3", data, *options), "rows: 'magic' is not one of masks, y_crf")


def test_an_unknown_table_is_refused(run_cli, data, tmp_path):
    answer = run_cli("reproduce", "table9", data, "--out", tmp_path)
    refused_choice(answer, "table9", "table1", "table2", "table3", "table4", "table5", "table6")


@pytest.fixture
def objects_preset(preset, tmp_path):
    """The tiny recipe with a tiny Mask R-CNN."""
    recipe = yaml.safe_load(preset.read_text())
    recipe["instance"] = {
        "backbone": "lite0", "train_backbone": "none", "width": 16, "box_samples": 16, "crop_size": 97, "epochs": 1,
        "batch_size": 4,
    }  # fmt: skip
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return file


def objects_of(run_cli, table, preset, data, out, *more):
    parts = ("--split", "train", "--val-split", "val", "--workers", 1, "--json")
    answer = run_cli("reproduce", table, data, "--out", out, "--preset", preset, *parts, *more)
    assert answer.status == 0, answer.err
    return json.loads(answer.out)["rows"]


def test_table2_scores_labels_of_objects(run_cli, objects_preset, data, tmp_path):
    rows = objects_of(run_cli, "table2", objects_preset, data, tmp_path / "out")
    assert rows["own-bap"]["paper"]["ap50"] == 40.5
    for name, row in rows.items():
        assert row["ours"]["0"]["ap50"] is not None, name
    assert rows["own-bap"]["ours"] != rows["own-ret"]["ours"] != rows["other-ret"]["ours"]
    labels = tmp_path / "labels"
    labeled = run_cli("label", data, "--split", "train", "--method", "bap", "--out", labels, "--workers", 1)
    assert labeled.status == 0
    scored = json.loads(run_cli("evaluate", labels, data, "--split", "train", "--json").out)
    assert scored["instances"]["ap"] == pytest.approx(rows["other-bap"]["ours"]["0"]["ap"])


def test_table6_trains_and_scores_mask_rcnns(run_cli, objects_preset, data, tmp_path):
    out = tmp_path / "out"
    rows = objects_of(run_cli, "table6", objects_preset, data, out, "--rows", "masks,own,box,boxinst")
    assert {name for name, row in rows.items() if row["ours"]} == {"masks", "own", "box", "boxinst"}
    settings = {
        name: json.loads((out / f"network-{name}-0" / "settings.json").read_text()) for name in ("own", "boxinst")
    }
    assert settings["own"]["settings"]["mask_loss"] == "reliable"
    assert settings["boxinst"]["settings"]["mask_loss"] == "boxinst"
    assert (out / "found-network-masks-0" / "results.json").is_file()
    before = contents(out)
    again = objects_of(run_cli, "table6", objects_preset, data, out, "--rows", "own", "--seeds", 2)
    assert sorted(again["own"]["ours"]) == ["0", "1"]
    after = contents(out)
    assert all(after[name] == before[name] for name in before if name != "run.json")
    text = run_cli(
        "reproduce", "table6", data, "--out", out, "--preset", objects_preset, "--split", "train", "--val-split", "val",
        "--rows", "own",
    ).out  # fmt: skip
    assert "true masks (the ceiling)" in text
    assert "47.1" in text


def test_options_of_other_tables_are_refused(run_cli, objects_preset, data, tmp_path):
    def reproduce(table, *more):
        return run_cli("reproduce", table, data, "--out", tmp_path / "out", "--preset", objects_preset, *more)

    refused(reproduce("table6", "--mask-share", 0.5), "mask_share: is not for table6")
    refused(reproduce("table3", "--labeler", "run"), "labeler: is not for table3")
    refused(reproduce("table6", "--split", "train"), "table6: needs --val-split")
    refused(
        reproduce("table2", "--split", "train", "--rows", "own,nal"), "rows: 'nal' is not one of other-bap, other-ret"
    )
