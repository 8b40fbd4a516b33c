"""Networks that start from a labeler."""

import pytest
import torch

from bana.classify.model import LABELER
from bana.engine.checkpoint import load_tensors, save_tensors
from bana.errors import CheckpointError, SettingsError
from bana.nn.backbones import create_backbone
from bana.nn.initialization import initialization_digest, pretrained_path, start_from_labeler
from bana.segment.model import SEGMENTER
from bana.segment.settings import SegmentSettings
from shapes_data import CLASSES


def segment_settings(**changes):
    return SegmentSettings(backbone="lite0", head="fuse", head_width=16, crop_size=65, start="labeler", **changes)


def test_a_fully_trained_network_takes_the_frozen_backbone_of_the_labeler(tiny_run):
    settings = segment_settings(backbone_weights="random")
    network = SEGMENTER.build(settings, 3, seed=1)
    start_from_labeler(network, CLASSES, settings, tiny_run)
    expected = create_backbone("lite0").state_dict()
    found = network.backbone.state_dict()
    assert all(
        torch.equal(found[name], expected[name]) for name in expected if not name.endswith("num_batches_tracked")
    )
    assert torch.equal(network.head.mix.weight, LABELER.load(tiny_run)[0].head.mix.weight)


def test_without_a_name_the_start_is_the_shipped_labeler():
    settings = segment_settings(train_backbone="late").model_copy(update={"head_width": 256})
    network = SEGMENTER.build(settings, 2, seed=1)
    before = network.class_weights.clone()
    start_from_labeler(network, ("person", "never seen"), settings, None)
    labeler, facts = LABELER.load(pretrained_path())
    person = 1 + facts.classes.index("person")
    assert torch.equal(network.class_weights[[0, 1]], labeler.class_weights[[0, person]])
    assert torch.equal(network.class_weights[2], before[2])
    assert initialization_digest(settings, None) == initialization_digest(settings, pretrained_path())


def test_a_run_that_starts_from_the_backbone_depends_on_no_labeler(tiny_run):
    assert initialization_digest(SegmentSettings(), tiny_run) is None


def test_other_trained_layers_are_refused(tiny_run):
    settings = segment_settings(train_backbone="late")
    with pytest.raises(SettingsError, match="has the backbone lite0 with none layers trained"):
        start_from_labeler(SEGMENTER.build(settings, 3, seed=1), CLASSES, settings, tiny_run)


@pytest.mark.parametrize("changes", [{"classes": ["disk"]}, {"classes": None}, {"classify": {"backbone": 3}}])
def test_a_damaged_labeler_is_refused(tiny_run, tmp_path, changes):
    tensors, metadata = load_tensors(LABELER.path(tiny_run))
    save_tensors(tmp_path / "l.safetensors", tensors, metadata | changes)
    settings = segment_settings(train_backbone="none")
    with pytest.raises(CheckpointError, match=r"l\.safetensors: of another version"):
        start_from_labeler(SEGMENTER.build(settings, 3, seed=1), CLASSES, settings, tmp_path / "l.safetensors")


def test_a_segmenter_is_no_labeler(tiny_segment_run):
    settings = segment_settings(train_backbone="none")
    with pytest.raises(CheckpointError, match="not a labeler; choose a labeler"):
        start_from_labeler(SEGMENTER.build(settings, 3, seed=1), CLASSES, settings, SEGMENTER.path(tiny_segment_run))
