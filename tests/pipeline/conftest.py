"""The tiny data set with all that scores need."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from bana.data.label_maps import write_label_map
from shapes_data import IMAGES, inside_of, true_mask


@pytest.fixture(scope="session")
def data(shapes_voc, tmp_path_factory) -> Path:
    """The tiny data set with true masks of classes and objects; its splits train and val are the same."""
    root = tmp_path_factory.mktemp("true") / "voc"
    shutil.copytree(shapes_voc, root)
    for name, (size, shapes) in IMAGES.items():
        write_label_map(root / "SegmentationClass" / f"{name}.png", true_mask(size, shapes))
        objects = np.zeros(size[::-1], dtype=np.uint8)
        for number, (kind, box) in enumerate(shapes, start=1):
            objects[inside_of(kind, box, size)] = number
        write_label_map(root / "SegmentationObject" / f"{name}.png", objects)
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
