import pytest
import torch
from torch import nn

from bana.classify.model import BoxClassifier
from bana.nn.backbones import Backbone, BackboneInfo


def wide_classifier(classes=20):
    torch.manual_seed(0)
    info = BackboneInfo((1024,), (8,), (0.0,) * 3, (1.0,) * 3, "none", "none")
    return BoxClassifier(Backbone(nn.Identity(), info), classes, None)


def test_a_new_classifier_is_small_and_random_and_has_no_bias():
    """Scores near 0 say that all classes are as likely, so the first steps are calm."""
    model = wide_classifier()
    assert model.class_weights.shape == (21, 1024)
    assert model.class_weights.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.class_weights.mean().item() == pytest.approx(0, abs=0.001)
    assert model.classifier.bias is None
