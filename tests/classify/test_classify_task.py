import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bana.classify import task as task_module
from bana.classify.model import BoxClassifier
from bana.classify.pooling import background_attention, background_aware_pool, background_queries
from bana.classify.samples import UNKNOWN, Batch, resize_to_features
from bana.classify.settings import ClassifySettings
from bana.classify.task import ClassifyTask
from small_networks import small_backbone


def make_stage(**changes):
    torch.manual_seed(0)
    return begun(BoxClassifier(small_backbone(), 2, None), ClassifySettings(crop_size=65, **changes))


def begun(model, settings):
    task = ClassifyTask(settings)
    task.begin(model)
    return task


def make_batch(boxes=((0, 10, 10, 50, 50), (1, 5, 20, 60, 60)), class_ids=(1, 2)):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 65, 65, generator=generator) * 255
    background = torch.ones(2, 1, 65, 65)
    for number, x0, y0, x1, y1 in boxes:
        background[number, 0, y0:y1, x0:x1] = 0
    return Batch(
        images=images,
        background=background,
        boxes=torch.tensor(boxes).float().view(-1, 5),
        class_ids=torch.tensor(class_ids).long(),
        image_classes=torch.tensor([(0, 1), (0, 2), (1, 2)]),
        labels=torch.full((2, 65, 65), UNKNOWN),
    )


@pytest.fixture
def pooled_with(monkeypatch):
    """The attention of every call of background_aware_pool."""
    seen = []
    original = task_module.background_aware_pool

    def spy(features, attention, boxes, output_size):
        seen.append(attention.detach())
        return original(features, attention, boxes, output_size)

    monkeypatch.setattr(task_module, "background_aware_pool", spy)
    return seen


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_biases_learn_twice_as_fast_and_do_not_decay(optimizer):
    stage = make_stage(optimizer=optimizer, lr_backbone=0.001, lr_head=0.02, weight_decay=0.3)
    groups = {id(tensor): group for group in stage.optimizer.param_groups for tensor in group["params"]}
    names = dict(stage.model.named_parameters())
    facts = {name: (groups[id(tensor)]["lr"], groups[id(tensor)]["weight_decay"]) for name, tensor in names.items()}
    assert facts == {
        "backbone.network.layer.weight": (0.001, 0.3),
        "backbone.network.layer.bias": (0.002, 0.0),
        "classifier.weight": (0.02, 0.3),
    }


def test_frozen_parameters_are_not_optimized():
    model = BoxClassifier(small_backbone().requires_grad_(False), 2, None)
    groups = begun(model, ClassifySettings()).optimizer.param_groups
    assert [id(tensor) for group in groups for tensor in group["params"]] == [id(model.classifier.weight)]
    loss, _ = begun(model, ClassifySettings()).loss(make_batch())
    loss.backward()
    assert all(tensor.grad is None for tensor in model.backbone.parameters())


def test_schedules_lower_the_learning_rate():
    step, poly = make_stage(schedule="step"), make_stage(schedule="poly")
    assert [step.lr_factor(p) for p in (0, 0.5, 0.66, 0.67, 0.99)] == [1, 1, 1, 0.1, 0.1]
    assert [poly.lr_factor(p) for p in (0, 0.5)] == [1, pytest.approx(0.5**0.9)]
    assert poly.lr_factor(0.999) < 0.01


def test_the_loss_is_the_cross_entropy_of_all_bins_and_all_queries():
    """GAP, one bin a box, one query an image: 2 boxes and 2 queries. A classifier of zeros answers log(3)."""
    stage = make_stage(pooling="gap", roi_bins=1, grid_size=1)
    nn.init.zeros_(stage.model.classifier.weight)
    loss, metrics = stage.loss(make_batch())
    assert loss.item() == pytest.approx(math.log(3))
    assert metrics["loss"] == pytest.approx(math.log(3))
    assert metrics["accuracy"] == 0  # of equal scores the first is taken: background
    assert metrics["background"] == 1


def test_known_labels_of_pixels_are_learned_too():
    """Each cell is a further sample: a classifier of zeros answers log(3) once more."""
    stage, batch = make_stage(), make_batch()
    nn.init.zeros_(stage.model.classifier.weight)
    labels = batch.labels.clone()
    labels[0, 20:40, 20:40] = 1
    loss, metrics = stage.loss(replace(batch, labels=labels))
    assert metrics["labels"] == pytest.approx(math.log(3))
    assert loss.item() == pytest.approx(2 * math.log(3))
    assert "labels" not in stage.loss(batch)[1]


def test_image_level_training_sees_no_boxes():
    """The mean feature of each image, and the classes in it: binary cross-entropy by hand, whatever the boxes."""
    stage, batch = make_stage(pooling="image"), make_batch()
    loss, metrics = stage.loss(batch)
    scores = stage.model(batch.images).mean((2, 3)) @ stage.model.class_weights[1:].T
    probability = torch.sigmoid(scores)
    expected = -(probability[0, 0].log() + probability[0, 1].log() + (1 - probability[1, 0]).log())
    expected = (expected - probability[1, 1].log()) / 4
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    right = [probability[0, 0] > 0.5, probability[0, 1] > 0.5, probability[1, 0] <= 0.5, probability[1, 1] > 0.5]
    assert metrics["accuracy"] == pytest.approx(sum(map(bool, right)) / 4)
    other = make_batch(boxes=((0, 0, 0, 20, 20),), class_ids=(2,))
    assert stage.loss(other)[0].item() == loss.item()


def written_out(stage, batch, grid_size, bins):
    """Eq. 1 to 4 of a batch by the pure functions, and the loss of any attention.

    Returns:
        The attention (N, 1, h, w), and a function from an attention to the loss.
    """
    features = stage.model(batch.images)
    background, boxes, _ = resize_to_features(batch, features.shape[2:])
    queries, valid = background_queries(features, background, grid_size)

    def loss_of(attention):
        pooled = background_aware_pool(features, attention, boxes, bins).flatten(2).transpose(1, 2)
        of_boxes = stage.model.classifier(pooled).flatten(0, 1)
        truth = torch.cat([each.expand(bins * bins) for each in batch.class_ids.split(1)])
        of_queries = stage.model.classifier(queries[valid])
        surprises = F.cross_entropy(of_boxes, truth, reduction="none"), -of_queries.log_softmax(1)[:, 0]
        return torch.cat(surprises).mean()

    return background_attention(features, queries, valid), loss_of


@pytest.mark.parametrize(("grid_size", "bins"), [(4, 2), (2, 1), (1, 3)])
def test_the_loss_is_that_of_the_pure_functions(grid_size, bins):
    stage, batch = make_stage(grid_size=grid_size, roi_bins=bins), make_batch()
    nn.init.normal_(stage.model.classifier.weight)
    attention, loss_of = written_out(stage, batch, grid_size, bins)
    assert stage.loss(batch)[0].item() == pytest.approx(loss_of(attention).item(), rel=1e-5)


def test_gradients_reach_the_features_through_the_attention():
    """The gradient is that of the formulas written out, which differs from that of an attention taken as given."""
    stage, batch = make_stage(), make_batch()
    nn.init.normal_(stage.model.classifier.weight)
    weight = stage.model.backbone.network.layer.weight
    attention, loss_of = written_out(stage, batch, grid_size=4, bins=2)
    expected, as_given = (
        torch.autograd.grad(loss_of(each), weight, retain_graph=True)[0] for each in (attention, attention.detach())
    )
    assert (expected - as_given).norm() > 0.02 * expected.norm()
    (found,) = torch.autograd.grad(stage.loss(batch)[0], weight)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_gap_pools_without_attention(pooled_with):
    make_stage(pooling="gap").loss(make_batch())
    make_stage(pooling="bap").loss(make_batch())
    assert (pooled_with[0] == 0).all()
    assert (pooled_with[1].flatten(1).amax(1) > 0).all()


def test_images_with_less_than_an_eighth_of_background_pool_without_attention(pooled_with):
    """The first image keeps 1 of 9 rows of cells, the second 2 of 9."""
    stage = make_stage()
    loss, _ = stage.loss(make_batch(boxes=((0, 0, 0, 65, 60), (1, 0, 0, 65, 50))))
    assert (pooled_with[0][0] == 0).all()
    assert (pooled_with[0][1] > 0).any()
    assert loss.isfinite()


def test_a_batch_of_images_without_background(pooled_with):
    stage = make_stage()
    loss, metrics = stage.loss(make_batch(boxes=((0, 0, 0, 65, 65), (1, 0, 0, 65, 65))))
    loss.backward()
    assert (pooled_with[0] == 0).all()
    assert loss.isfinite()
    assert set(metrics) == {"loss", "accuracy"}
    assert all(tensor.grad.isfinite().all() for tensor in stage.model.parameters())


def test_a_batch_without_boxes_learns_the_background():
    stage = make_stage()
    loss, metrics = stage.loss(make_batch(boxes=(), class_ids=()))
    loss.backward()
    assert loss.item() > 0
    assert set(metrics) == {"loss", "background"}


def test_a_batch_with_neither_boxes_nor_background_has_loss_0():
    stage = make_stage()
    batch = make_batch(boxes=(), class_ids=())
    loss, _ = stage.loss(replace(batch, background=torch.zeros_like(batch.background)))
    loss.backward()
    assert loss.item() == 0
    assert all(tensor.grad is None or tensor.grad.isfinite().all() for tensor in stage.model.parameters())
