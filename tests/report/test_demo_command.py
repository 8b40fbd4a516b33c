"""`bana demo` on three photographs of the sample set, with a labeler that has learned nothing."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from bana.classify.model import LABELER
from bana.classify.settings import ClassifySettings
from bana.data.sample import sample_dataset
from bana.label.settings import LabelSettings
from bana.nn.network_file import NetworkFacts

NAMES = ("000000000092", "000000000471", "000000002153")  # cake and fork; person and bus; persons with a baseball bat
SETTINGS = ClassifySettings(backbone="lite0", train_backbone="none", head_width=16)


@pytest.fixture(scope="module")
def labeler(tmp_path_factory):
    """A labeler of two classes with random weights on the embedded backbone."""
    file = tmp_path_factory.mktemp("random") / "labeler.safetensors"
    labeling = LabelSettings(image_side=129).model_dump(mode="json")
    model = LABELER.build(SETTINGS, classes=2, seed=0)
    LABELER.save(file, model, NetworkFacts(("bus", "person"), SETTINGS, label=labeling))
    return file


@pytest.fixture
def small_sample(monkeypatch):
    whole = sample_dataset()
    few = replace(whole, records=tuple(record for record in whole if record.image_id in NAMES))
    monkeypatch.setattr("bana.report.demo.sample_dataset", lambda: few)
    return few


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("small_sample")
def test_one_json_object_then_tables_from_the_same_labels(run_cli, labeler, tmp_path):
    out = tmp_path / "demo"
    command = ("demo", "--out", out, "--labeler", labeler, "--workers", 1)
    first = run_cli(*command, "--json")
    assert first.status == 0
    assert first.out.count("\n") == 1
    result = json.loads(first.out)
    assert (result["images"], result["labeled_now"], result["boxes"]) == (3, 3, 9)
    assert result["boxes_per_class"] == {"person": 5, "bus": 1, "cake": 1, "fork": 1, "baseball bat": 1}
    assert set(result["classes_with_weights"]) == {"person", "bus"}
    assert set(result["classes_through_attention"]) == {"cake", "fork", "baseball bat"}
    assert result["images_per_second"] == pytest.approx(3 / result["seconds"])
    box = result["scores"]["box"]
    assert box["binary_iou"] < box["binary_miou"] < box["per_class"]["background"]
    assert result["scores"]["instances"]["ap50"] is not None
    with Image.open(result["picture"]) as picture:
        assert picture.width == 1600
        assert picture.height > 700  # three rows
    written = files(out)
    second = run_cli(*command)
    assert second.status == 0
    assert files(out) == written
    assert "all labeled before" in second.out
    assert "fork" in second.out
    assert f"{result['scores']['y_crf']['binary_miou']:.1f}" in second.out
    assert str(out / "demo.png") in second.out.replace("\n", "")


@pytest.mark.usefixtures("small_sample")
def test_attribution_lies_beside_the_picture(run_cli, labeler, tmp_path):
    assert run_cli("demo", "--out", tmp_path, "--labeler", labeler, "--workers", 1).status == 0
    text = (tmp_path / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(name in text for name in NAMES)
    assert (tmp_path / "labels" / "labels.json").is_file()


def test_a_missing_labeler_is_refused(run_cli, tmp_path):
    answer = run_cli("demo", "--out", tmp_path / "demo", "--labeler", tmp_path / "none.safetensors")
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert "none.safetensors" in answer.err
    assert not (tmp_path / "demo").exists()


def test_an_unwritable_folder_is_refused(run_cli, labeler, tmp_path):
    (tmp_path / "demo").write_text("a file")
    answer = run_cli("demo", "--out", tmp_path / "demo", "--labeler", labeler, "--workers", 1)
    assert answer.status == 2
    assert answer.err.count("\n") == 1
    assert (tmp_path / "demo").read_text() == "a file"
