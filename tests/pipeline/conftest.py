"""The tiny data set with all that scores need."""

import shutil
from pathlib import Path

import pytest

from shapes_data import write_true_masks


@pytest.fixture(scope="session")
def data(shapes_voc, tmp_path_factory) -> Path:
    """The tiny data set with true masks of classes and objects; its splits train and val are the same."""
    root = tmp_path_factory.mktemp("true") / "voc"
    shutil.copytree(shapes_voc, root)
    write_true_masks(root)
    shutil.copy(root / "ImageSets/Main/train.txt", root / "ImageSets/Main/val.txt")
    return root
