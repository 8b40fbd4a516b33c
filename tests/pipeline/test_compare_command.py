"""`bana compare` as a user meets it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from bad_data import refused
from bana import read_dataset
from bana.cli.common import split_names
from bana.data.label_folder import LabelFolder
from bana.data.label_maps import read_label_map, write_label_map
from bana.errors import SettingsError
from bana.evaluate import ConfusionMatrix, evaluate_labels, mean_iou
from bana.label.settings import LabelSettings
from bana.pipeline import compare as compare_module
from bana.pipeline.methods import ALL, method_of
from shapes_data import CLASSES, IMAGES

METHODS = "box,wssl,ret,bap+ret,fuse:labeler,box"


@pytest.fixture
def compare(run_cli, tiny_run):
    def command(data, out, *more):
        return run_cli("compare", data, "--split", "train", "--out", out, "--labeler", tiny_run, "--workers", 1, *more)

    return command


@pytest.fixture(scope="module")
def compared(data, tiny_run, tmp_path_factory):
    """A finished comparison; not to be changed."""
    from rich.console import Console

    from bana.label.methods.choose import MethodChoice

    out = tmp_path_factory.mktemp("compared") / "out"
    result = compare_module.compare_methods(
        read_dataset(data, "train"),
        split_names(METHODS),
        MethodChoice.of_labeler(tiny_run),
        out,
        workers=1,
        console=Console(quiet=True),
    )
    return out, result


def test_figures_are_those_of_label_and_evaluate(compared, data):
    """Each way against `bana evaluate` of its folder, or counted by hand from the label maps."""
    out, result = compared
    dataset = read_dataset(data, "train")
    whole = evaluate_labels(out / "labels-wssl", dataset).as_dict()
    assert result.scores["wssl"]["miou"] == whole["y_crf"]["miou"]
    assert result.scores["wssl"]["boundary_iou"] == whole["y_crf"]["boundary_iou"]
    assert result.scores["wssl"]["instances"] == whole["instances"]
    parts = evaluate_labels(out / "labels-bap", dataset).as_dict()
    assert result.scores["ret"]["miou"] == parts["y_ret"]["miou"]
    assert result.scores["bap+ret"]["miou"] == parts["agreed"]["miou"]
    assert result.scores["bap+ret"]["ignored_share"] == parts["agreed"]["ignored_share"] > 0
    assert result.scores["bap+ret"]["miou_of_all"] < parts["agreed"]["miou"]
    pair = result.scores["fuse:labeler,box"]
    first, second = (LabelFolder(out / f"labels-{name}") for name in ("labeler", "box"))
    confusion, union = ConfusionMatrix(len(CLASSES) + 1), []
    for record in dataset:
        a, b = first.label_map("y_crf", record), second.label_map("y_crf", record)
        truth = read_label_map(record.semantic_path, record.width, record.height)
        confusion.update(np.where(a == b, a, 255).astype(np.uint8), truth)
        union.append(((a != b) & (truth != 255)).sum() / (truth != 255).sum())
    assert pair["miou"] == pytest.approx(mean_iou(confusion))
    assert pair["ignored_share"] == pytest.approx(confusion.ignored_share)
    assert max(union) > 0


def test_filling_rates_are_those_of_the_masks(compared, data):
    _, result = compared
    assert set(np.concatenate(list(result.scores["box"]["filling_rates"].values()))) == {1.0}
    true = result.true_filling_rates
    record = read_dataset(data, "train")[0]
    with Image.open(record.instance_path) as picture:
        numbers = np.array(picture)
    x0, y0, x1, y1 = record.boxes[0].astype(int)
    expected = (numbers[y0:y1, x0:x1] == 1).mean()
    assert true[CLASSES[int(record.class_ids[0]) - 1]][0] == pytest.approx(expected, abs=1e-4)
    assert sum(map(len, true.values())) == sum(len(record) for record in read_dataset(data, "train"))


def test_settings_change_every_labeler_and_are_in_the_command_of_each_row(compare, data, tmp_path):
    preset = tmp_path / "my.yaml"
    preset.write_text("label: {image_side: 65, tightness: 0.5}")
    given = ("--preset", preset, "--set", "refinement_scale=2")
    answer = compare(data, tmp_path / "out", "--methods", "labeler,bap,box", *given)
    assert answer.status == 0, answer.err
    (command,) = (line for line in answer.out.splitlines() if line.endswith("--out one --methods bap"))
    assert f" --preset {preset} " in command
    assert " --set refinement_scale=2 " in command
    used = {
        name: json.loads((tmp_path / f"out/labels-{name}/labels.json").read_text())["method"].get("settings")
        for name in ("labeler", "bap", "box")
    }
    assert used["labeler"] == LabelSettings(image_side=65, tightness=0.5, refinement_scale=2).model_dump()
    assert used["bap"] == LabelSettings(refinement_scale=2).model_dump()
    assert used["box"] is None
    refused(compare(data, tmp_path / "other", "--set", "image_sid=65"), "image_sid: no such setting")


def test_a_second_call_skips_what_is_unchanged(compare, data, tmp_path):
    out = tmp_path / "out"
    answer = compare(data, out, "--methods", METHODS)
    assert answer.status == 0, answer.err
    for name in split_names(METHODS):
        assert f"│ {name} " in answer.out
        assert f"--out one --methods {name}\n" in answer.out
    with Image.open(out / "compare.png") as picture:
        assert picture.width > 1000
    again = compare(data, out, "--methods", METHODS, "--json")
    assert "begun" not in again.err
    rows = json.loads(again.out)["rows"]
    assert set(rows) == set(split_names(METHODS))
    assert rows["box"]["seconds_per_image"] > 0
    assert rows["box"]["peak_memory"] > 10_000_000
    assert rows["box"]["paper"] == {"train": 65.4, "val": 62.2}
    more = compare(data, out, "--methods", "box,bap")
    assert more.err.count("begun") == 1  # only the score of bap is new
    shutil.rmtree(out / "labels-box")
    assert compare(data, out, "--methods", "box").err.count("begun") == 1


def test_an_interrupted_comparison_resumes(compare, compared, data, tmp_path, monkeypatch):
    whole, _ = compared
    out = tmp_path / "out"

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compare_module, "score_method", cut)
        assert compare(data, out, "--methods", METHODS).status == 130
    answer = compare(data, out, "--methods", METHODS)
    assert "labels-wssl: unchanged" in answer.err
    for path in sorted((whole / "labels-wssl").rglob("*.png")):
        assert (out / "labels-wssl" / path.relative_to(whole / "labels-wssl")).read_bytes() == path.read_bytes()


def test_all_leaves_out_unavailable_methods(compare, data, tmp_path, monkeypatch):
    monkeypatch.setattr("bana.pipeline.methods.ALL", ("box", "gap", "sam"))
    answer = compare(data, tmp_path / "out")
    assert answer.status == 0, answer.err
    assert "method gap: needs a classifier that was trained with --pooling gap" in " ".join(answer.out.split())
    assert "method sam: needs --sam-encoder" in " ".join(answer.out.split())
    assert "│ gap " not in answer.out
    assert set(ALL) >= {"box", "grabcut", "wssl", "mcg", "sdi", "gap", "bap", "ret", "cam", "affinity", "sam"}


def test_true_masks_of_another_folder_score_a_random_sample(compare, data, tmp_path):
    masks = tmp_path / "masks"
    for name, ((width, height), _) in IMAGES.items():
        write_label_map(masks / f"{name}.png", np.zeros((height, width), np.uint8))
    answer = compare(data, tmp_path / "out", "--methods", "box", "--truth", masks, "--max-images", 3, "--json")
    result = json.loads(answer.out)
    assert result["images"] == 3
    assert result["rows"]["box"]["per_class"][CLASSES[0]] in (0.0, None)
    (masks / "b.png").unlink()
    message = "1 images have no true mask, the first: b; add b.png"
    refused(compare(data, tmp_path / "other", "--methods", "box", "--truth", masks), message)


def test_methods_are_found_by_name():
    assert split_names("box,fuse:a,b,ret") == ["box", "fuse:a,b", "ret"]
    assert method_of("sdi").needs == ("mcg", "grabcut")
    assert method_of("fuse:sam,wssl").needs == ("sam", "wssl")
    for name, message in (("magic", "'magic' is not known"), ("fuse:sdi,box", "label every pixel themselves")):
        with pytest.raises(SettingsError, match=message):
            method_of(name)
