"""Training with the labels of an earlier round."""

import json
import shutil

import pytest
import torch
from rich.console import Console

from bana import read_dataset
from bana.classify.samples import UNKNOWN, BoxCrops
from bana.classify.task import ClassifyTask
from bana.data.label_folder import LabelFolder
from bana.engine.loop import LOG
from bana.errors import DataError
from bana.label.methods.choose import MethodChoice
from bana.label.run import label_dataset
from bana.nn.train import train as train_network
from shapes_data import CLASSES

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def labels(shapes_voc, tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("round") / "labels"
    label_dataset(read_dataset(shapes_voc), MethodChoice.of_labeler(tiny_run), out, workers=1, console=QUIET)
    return out


def train(shapes_voc, settings, out, labels):
    return train_network(ClassifyTask(settings, labels=labels), read_dataset(shapes_voc), out)


def test_labels_follow_flips_and_crops(shapes_voc, labels, tiny_settings):
    """Where a label is known, it is background outside all boxes, and in number no more than the agreed pixels."""
    records = read_dataset(shapes_voc)
    settings = tiny_settings.model_copy(update={"scale_range": (1, 1), "color_jitter": 0})
    crops = BoxCrops(records, settings, 0, LabelFolder(labels))
    for epoch in range(4):
        for index in range(len(records)):
            sample = crops[(epoch, index)]
            outside = sample.background[0] == 1
            assert (sample.labels[outside] == 0).all()
            padding = (sample.image == 0).all(0) & ~outside
            assert set(sample.labels.unique().tolist()) <= {UNKNOWN, 0, *records[index].class_ids.tolist()}
            if padding.any():
                assert (sample.labels[padding] == UNKNOWN).float().mean() > 0.9


def test_without_labels_nothing_is_known(shapes_voc, tiny_settings):
    sample = BoxCrops(read_dataset(shapes_voc), tiny_settings, 0)[(0, 0)]
    assert (sample.labels == UNKNOWN).all()


def test_a_second_round_learns_the_labels(shapes_voc, tiny_settings, labels, tmp_path):
    settings = tiny_settings.model_copy(update={"epochs": 2})
    first = train(shapes_voc, settings, tmp_path / "first", None)
    second = train(shapes_voc, settings, tmp_path / "second", labels)
    log = [json.loads(line) for line in (tmp_path / "second" / LOG).read_text().splitlines()]
    assert all("labels" in entry for entry in log)
    assert first.read_bytes() != second.read_bytes()


def test_labels_of_other_classes_are_refused(shapes_voc, tiny_settings, labels, tmp_path):
    other = shutil.copytree(labels, tmp_path / "labels")
    manifest = json.loads((other / "labels.json").read_text())
    (other / "labels.json").write_text(json.dumps(manifest | {"classes": [*CLASSES[:2], "star"]}))
    with pytest.raises(DataError, match=r"class 3 is 'star'"):
        train(shapes_voc, tiny_settings, tmp_path / "run", other)
    assert not (tmp_path / "run").exists()


def test_missing_labels_are_named(shapes_voc, tiny_settings, labels, tmp_path):
    other = shutil.copytree(labels, tmp_path / "labels")
    (other / "agreed/c.png").unlink()
    with pytest.raises(DataError, match=r"agreed/c\.png"):
        train(shapes_voc, tiny_settings, tmp_path / "run", other)


def test_crops_are_the_same_with_and_without_labels(shapes_voc, tiny_settings, labels):
    records = read_dataset(shapes_voc)
    plain, labeled = BoxCrops(records, tiny_settings, 0), BoxCrops(records, tiny_settings, 0, LabelFolder(labels))
    for index in range(len(records)):
        assert torch.equal(plain[(1, index)].image, labeled[(1, index)].image)
        assert torch.equal(plain[(1, index)].boxes, labeled[(1, index)].boxes)
