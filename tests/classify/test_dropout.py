"""The box classifier: what dropout acts on, and when attention is used."""

import torch
from torch import nn

from bana.classify import task as task_module
from bana.classify.model import BoxClassifier
from bana.classify.settings import ClassifySettings
from bana.classify.task import ClassifyTask
from bana.nn.backbones import Backbone, BackboneInfo, create_backbone
from bana.segment.model import SegmentationNetwork
from classify.test_classify_task import make_batch
from small_networks import Patches

INFO = BackboneInfo((6,), (8,), (100.0,) * 3, (50.0,) * 3, "none", "none", dropout=0.5)


def dropped():
    torch.manual_seed(0)
    return BoxClassifier(Backbone(Patches(), INFO), 2, None).train()


def test_dropout_acts_on_what_is_classified_and_not_on_features():
    model, images = dropped(), make_batch().images
    features = model(images)
    torch.testing.assert_close(model(images), features)
    vectors = features.mean((2, 3))
    assert not torch.equal(model.scores(vectors), model.scores(vectors))
    torch.testing.assert_close(model.eval().scores(vectors), vectors @ model.class_weights.T)


def test_attention_and_pooling_see_whole_features(monkeypatch):
    seen = []
    original = task_module.background_aware_pool

    def spy(features, attention, boxes, output_size):
        seen.append((features, attention))
        return original(features, attention, boxes, output_size)

    monkeypatch.setattr(task_module, "background_aware_pool", spy)
    task = ClassifyTask(ClassifySettings(crop_size=65))
    task.begin(dropped())
    losses = [task.loss(make_batch())[0].item() for _ in range(2)]
    assert losses[0] != losses[1]
    for first, second in zip(*seen, strict=True):
        torch.testing.assert_close(first, second)


def test_a_head_of_its_own_has_no_dropout():
    torch.manual_seed(0)
    model = BoxClassifier(Backbone(Patches(), INFO), 2, width=4).train()
    assert model.dropout.p == 0
    assert SegmentationNetwork(Backbone(Patches(), INFO), nn.Identity(), 6, 2).dropout.p == 0


def test_vgg_s_classifiers_drop_half_of_fc7():
    backbone = create_backbone("vgg16", "random")
    assert BoxClassifier(backbone, 2, None).dropout.p == 0.5
    assert SegmentationNetwork(backbone, None, 1024, 2).dropout.p == 0.5


def test_the_least_background_that_pools_with_attention_is_a_setting(monkeypatch):
    seen = []
    original = task_module.background_aware_pool
    monkeypatch.setattr(
        task_module, "background_aware_pool", lambda *arguments: seen.append(arguments[1]) or original(*arguments)
    )
    for least in (1 / 8, 0.0):
        task = ClassifyTask(ClassifySettings(crop_size=65, min_background=least))
        task.begin(dropped())
        task.loss(make_batch(boxes=((0, 0, 0, 65, 60), (1, 0, 0, 65, 50))))  # 1 and 2 of 9 rows of cells are left
    assert [bool((attention[0] > 0).any()) for attention in seen] == [False, True]
