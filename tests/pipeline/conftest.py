"""The tiny data set with all that scores need."""

import shutil
from pathlib import Path

import pytest
import yaml

from shapes_data import write_true_masks


@pytest.fixture(scope="session")
def data(shapes_voc, tmp_path_factory) -> Path:
    """The tiny data set with true masks of classes and objects; its splits train and val are the same."""
    root = tmp_path_factory.mktemp("true") / "voc"
    shutil.copytree(shapes_voc, root)
    write_true_masks(root)
    shutil.copy(root / "ImageSets/Main/train.txt", root / "ImageSets/Main/val.txt")
    return root


@pytest.fixture(scope="session")
def preset(tiny_settings, tiny_segment_settings, tmp_path_factory):
    """A recipe of two epochs a stage."""
    recipe = {
        "classify": tiny_settings.model_dump(mode="json") | {"epochs": 2},
        "label": {"image_side": 129},
        "segment": tiny_segment_settings.model_dump(mode="json") | {"epochs": 2},
        "predict": {"scales": [1.0], "flip": False},
    }
    file = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return file
