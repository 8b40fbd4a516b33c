"""Which labeler `bana run` keeps."""

import json

import pytest
import yaml

from bana.classify.model import LABELER
from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.pipeline import choice
from bana.pipeline.choice import spaced
from shapes_data import IMAGES


@pytest.fixture(scope="module")
def write_preset(preset, tiny_refine_settings, tmp_path_factory):
    """Writes a recipe with a refiner of one epoch, which starts from bana's own (``labeler``) or from its backbone."""

    def write(start):
        recipe = yaml.safe_load(preset.read_text())
        refine = tiny_refine_settings.model_dump(mode="json") | {"epochs": 1, "start": start}
        if start == "labeler":
            refine |= {"backbone": "lite2", "train_backbone": "all"}
        recipe |= {"refine": refine, "label": {"image_side": 129, "refine": True}}
        recipe["segment"]["epochs"] = 1
        file = tmp_path_factory.mktemp("presets") / "refining.yaml"
        file.write_text(yaml.safe_dump(recipe))
        return file

    return write


@pytest.fixture
def run(run_cli, shapes_voc, tmp_path):
    """Calls ``bana run`` on the tiny data set with a recipe; returns its answer."""

    def command(preset, *more):
        out = tmp_path / "run"
        answer = run_cli("run", shapes_voc, "--out", out, "--preset", preset, "--workers", 1, *more)
        assert answer.status == 0, answer.err
        return answer

    return command


def prefer(monkeypatch, name, gain=1.02):
    """Let the labels of a folder of this name fit better, by a factor."""
    monkeypatch.setattr(choice, "label_fit", lambda labels, _: gain if labels.path.name == name else 1.0)


def instances(folder):
    return {name: json.loads((folder / f"instances/{name}.json").read_text())["instances"] for name in IMAGES}


@pytest.mark.parametrize(("start", "kept"), [("labeler", "trained"), ("labeler", "untrained"), ("backbone", "trained")])
def test_the_labels_are_those_of_the_labeler_that_fits_better(
    run, run_cli, shapes_voc, write_preset, tmp_path, monkeypatch, start, kept
):
    prefer(monkeypatch, kept)
    answer = run(write_preset(start), "--json")
    other = {"trained": "untrained", "untrained": "trained"}[kept]
    assert json.loads(answer.out)["labeler"] == {"kept": kept, "fit": {kept: 1.02, other: 1.0}}
    out = tmp_path / "run"
    assert instances(out / "labels") == instances(out / kept)
    assert instances(out / "labels") != instances(out / other)
    again = run_cli("label", shapes_voc, "--labeler", out, "--out", tmp_path / "labels", "--workers", 1)
    assert again.status == 0, again.err
    assert instances(tmp_path / "labels") == instances(out / "labels")


def test_some_images_are_compared_and_all_are_labeled(run, shapes_voc, write_preset, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "MAX_IMAGES", 1)
    prefer(monkeypatch, "trained", 1.005)  # too little to say anything
    answer = run(write_preset("backbone"))
    assert "by bana's own labeler; the trained one was no better" in " ".join(answer.out.split())
    out = tmp_path / "run"
    assert {len(list((out / name / "instances").iterdir())) for name in ("untrained", "trained")} == {1}
    labels = LabelFolder(out / "labels")
    assert all(labels.is_intact(record.image_id) for record in read_dataset(shapes_voc))


def test_a_choice_that_changes_replaces_the_kept_labeler(run, write_preset, tmp_path, monkeypatch):
    preset, out, kept = write_preset("labeler"), tmp_path / "run", {}
    for name in ("trained", "untrained"):
        prefer(monkeypatch, name)
        run(preset)
        kept[name] = LABELER.path(out).read_bytes(), instances(out / "labels")
        content = json.loads((out / "run.json").read_text())
        del content["steps"]["compare labelers"]
        (out / "run.json").write_text(json.dumps(content))
    assert kept["trained"][0] != kept["untrained"][0]
    assert kept["trained"][1] != kept["untrained"][1]


@pytest.mark.parametrize(("count", "picked"), [(1, [0]), (2, [0, 1]), (9, [0, 1, 2, 3, 4])])
def test_spaced_images_are_spread_evenly(shapes_voc, count, picked):
    dataset = read_dataset(shapes_voc)
    expected = [len(dataset) * number // min(count, len(dataset)) for number in range(min(count, len(dataset)))]
    assert [dataset.records.index(record) for record in spaced(dataset, count)] == expected
