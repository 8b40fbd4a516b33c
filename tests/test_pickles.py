"""No file that a user names is unpickled, whatever it is called and whatever command it is given to."""

import pickle
import re
from pathlib import Path

import pytest
import torch
import yaml
from torchvision.models import VGG16_Weights

import bana as package
from bad_data import refused
from bana.engine.loop import CHECKPOINT
from bana.errors import SettingsError
from bana.nn.weights import download_torchvision

FORBIDDEN = {
    "pickle": r"^\s*(import|from)\s+(\w*pickle|dill|joblib|shelve|marshal)\b",
    "torch.load without weights_only": r"torch\.load\((?![^\n]*weights_only=True)",
    "a cached download without weights_only": r"get_state_dict\((?![^\n]*weights_only=True)",
    "numpy with pickles": r"allow_pickle\s*=\s*(?!False)",
    "YAML that makes objects": r"yaml\.(load|load_all|full_load|unsafe_load)\w*\(|yaml\.(Unsafe|Full)?Loader\b",
    "eval or exec": r"(?<![\w.])(eval|exec)\(",
}


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture(params=["pickle", "torch"])
def evil(request, tmp_path):
    """Writes a malicious file where it is told."""

    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"weight": Evil(tmp_path / "executed")}
        if request.param == "torch":
            torch.save(content, path)
        else:
            path.write_bytes(pickle.dumps(content))
        return path

    yield write
    assert not (tmp_path / "executed").exists()


def test_the_malicious_file_would_work(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "executed"))).close()
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["labeler.safetensors", "labeler.pth", "labeler.pkl"])
def test_as_a_labeler(run_cli, evil, shapes_voc, tmp_path, name):
    file = evil(tmp_path / name)
    refused(run_cli("label", shapes_voc, "--out", tmp_path / "out", "--labeler", file), name)


def test_as_the_labeler_of_a_run_folder(run_cli, evil, shapes_voc, tmp_path):
    file = evil(tmp_path / "run/classify/labeler.safetensors")
    refused(run_cli("label", shapes_voc, "--out", tmp_path / "out", "--labeler", tmp_path / "run"), file)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_as_weights_of_a_backbone(run_cli, evil, shapes_voc, tmp_path, suffix):
    file = evil(tmp_path / f"weights.{suffix}")
    preset = tmp_path / "preset.yaml"
    preset.write_text(yaml.safe_dump({"classify": {"backbone_weights": str(file), "crop_size": 65}}))
    refused(run_cli("classify", shapes_voc, "--out", tmp_path / "run", "--preset", preset), file)


def test_as_a_checkpoint(run_cli, evil, shapes_voc, tmp_path):
    file = evil(tmp_path / "run" / CHECKPOINT)
    refused(run_cli("classify", shapes_voc, "--out", tmp_path / "run"), file)


@pytest.mark.parametrize("name", ["segmenter.safetensors", "detector.safetensors"])
def test_as_a_network_that_predicts_or_is_exported(run_cli, evil, shapes_voc, tmp_path, name):
    file = evil(tmp_path / name)
    refused(run_cli("predict", file, shapes_voc / "JPEGImages", "--out", tmp_path / "out"), name)
    refused(run_cli("export", file, "--to", "onnx", "--out", tmp_path / "a.onnx"), name)


def test_in_the_cache_of_downloads(evil, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    weights = VGG16_Weights.IMAGENET1K_V1
    evil(tmp_path / "hub/checkpoints" / Path(weights.url).name)
    with pytest.raises(SettingsError, match="cannot be downloaded"):
        download_torchvision(weights)


OWN_MESSAGES = "ray_engine.py"
"""What processes of one run send each other, which never is a file's content."""


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_source_has_none_of(what):
    found = [
        f"{path.name}: {match.group().strip()}"
        for path in Path(package.__file__).parent.rglob("*.py")
        if path.name != OWN_MESSAGES
        for match in re.finditer(FORBIDDEN[what], path.read_text(), re.MULTILINE)
    ]
    assert found == []
