"""The loss of a batch of stage 3: the settings reach the pure functions, value and gradient."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from bana.data.records import ClassTable
from bana.segment import task as task_module
from bana.segment.filling_rate import filling_rate_loss
from bana.segment.losses import (
    agreed_labels,
    bootstrapping_loss,
    confidence_map,
    entropy_regularized_loss,
    noise_aware_loss,
    partial_cross_entropy,
)
from bana.segment.model import SegmentationNetwork
from bana.segment.samples import Batch, Targets
from bana.segment.settings import LOSSES, WEIGHTED_LOSSES, SegmentSettings
from bana.segment.task import SegmentTask, mean_filling_rates
from small_networks import small_backbone

CLASSES = 3
PAPER = {"temperature": 20.0, "gamma": 7.0, "lam": 0.1, "detach_confidence": False}
CHANGES = {
    "gamma": {"gamma": 2.5},
    "temperature": {"temperature": 4.0},
    "lam": {"lam": 0.7},
    "detach_confidence": {"detach_confidence": True},
    "all": {"gamma": 2.5, "temperature": 4.0, "lam": 0.7, "detach_confidence": True},
}


def make_task(classes=CLASSES, **changes):
    torch.manual_seed(0)
    model = SegmentationNetwork(small_backbone(), None, 6, classes)
    task = SegmentTask(SegmentSettings(crop_size=33, **changes))
    task.targets = Targets(ClassTable(tuple(f"class {number}" for number in range(classes))), None, {})
    task.begin(model)
    return task


def make_batch(classes=CLASSES, ignore_index=255):
    """Two crops of labels that differ in a third of the pixels, with ignored pixels in either map."""
    generator = torch.Generator().manual_seed(1)

    def blocky(high):
        return torch.randint(high, (2, 11, 11), generator=generator).repeat_interleave(3, 1).repeat_interleave(3, 2)

    y_crf, other, boxes, chosen = blocky(classes + 1), blocky(classes + 1), blocky(classes + 1), blocky(3)
    y_ret = torch.where(chosen == 0, other, y_crf)
    y_crf[:, :4], y_ret[:, :, :5] = ignore_index, ignore_index
    return Batch(torch.rand(2, 3, 33, 33, generator=generator) * 255, y_crf, y_ret, boxes)


def cosines_of(task, batch):
    """The network's cosines at label size: cells sit on pixels 0, 8, 16, ..."""
    return F.interpolate(task.model(batch.images), (33, 33), mode="bilinear", align_corners=True)


def value_and_gradient(loss, task):
    (gradient,) = torch.autograd.grad(loss, task.model.class_weights)
    return loss.detach(), gradient


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def nal_of(task, batch, **settings):
    return value_and_gradient(noise_aware_loss(cosines_of(task, batch), batch.y_crf, batch.y_ret, **settings), task)


@pytest.mark.parametrize("name", CHANGES)
def test_the_noise_aware_loss_is_that_of_the_settings(name):
    """Each setting alone changes the gradient, so one that is not handed on is seen."""
    task, batch = make_task(**CHANGES[name]), make_batch()
    expected, papers = nal_of(task, batch, **PAPER | CHANGES[name]), nal_of(task, batch, **PAPER)
    assert (expected[1] - papers[1]).norm() > 0.01 * papers[1].norm()
    assert_same(value_and_gradient(task.loss(batch)[0], task), expected)


def test_the_defaults_are_the_papers():
    task, batch = make_task(), make_batch()
    assert_same(value_and_gradient(task.loss(batch)[0], task), nal_of(task, batch, **PAPER))


def test_y_crf_is_what_differing_pixels_learn():
    """c* of Eq. 13 is the label by the CRF; maps in the other order give another loss."""
    task, batch = make_task(lam=1.0), make_batch()
    swapped = Batch(batch.images, batch.y_ret, batch.y_crf, batch.boxes)
    assert task.loss(batch)[0].item() != pytest.approx(task.loss(swapped)[0].item(), rel=1e-3)
    assert_same(value_and_gradient(task.loss(batch)[0], task), nal_of(task, batch, **PAPER | {"lam": 1.0}))


def other_loss(name, cosine, batch, rates):
    y_crf, y_ret, common = batch.y_crf, batch.y_ret, {"temperature": 4.0}
    match name:
        case "agreed" | "y_crf" | "y_ret":
            labels = {"agreed": agreed_labels(y_crf, y_ret), "y_crf": y_crf, "y_ret": y_ret}[name]
            return partial_cross_entropy(cosine, labels, **common)
        case "entropy":
            return entropy_regularized_loss(cosine, y_crf, y_ret, lam=0.7, **common)
        case "bootstrap_soft" | "bootstrap_hard":
            return bootstrapping_loss(cosine, y_crf, y_ret, hard=name == "bootstrap_hard", lam=0.7, **common)
        case "filling_rate":
            return filling_rate_loss(cosine, y_crf, batch.boxes, rates, **common)


ON_LABELS = [name for name in LOSSES if name not in ("nal", "em_fixed", "attention_weighted", "box_masking")]
"""The losses that need no regions; those that do are tested in test_box_losses.py."""


@pytest.mark.parametrize("name", ON_LABELS)
def test_every_other_loss_is_that_of_the_settings(name):
    task, batch = make_task(loss=name, temperature=4.0, lam=0.7), make_batch()
    task.filling_rates = rates = torch.tensor([1.0, 0.2, 0.5, 0.8])
    expected = other_loss(name, cosines_of(task, batch), batch, rates)
    assert_same(value_and_gradient(task.loss(batch)[0], task), value_and_gradient(expected, task))


@pytest.mark.parametrize("name", WEIGHTED_LOSSES)
def test_balanced_classes_weigh_their_pixels(name):
    task, batch = make_task(loss=name, class_weight="balanced", temperature=4.0), make_batch()
    task.class_weight = weight = torch.tensor([1.0, 3.0, 2.0, 5.0])
    labels = {"agreed": agreed_labels(batch.y_crf, batch.y_ret), "y_crf": batch.y_crf, "y_ret": batch.y_ret}[name]
    expected = F.cross_entropy(4.0 * cosines_of(task, batch), labels, weight, ignore_index=255)
    assert_same(value_and_gradient(task.loss(batch)[0], task), value_and_gradient(expected, task))


def test_a_class_weighs_by_the_inverse_root_of_its_share_of_all_pixels():
    task = make_task(class_weight="balanced", loss="y_crf")
    maps = {"a": np.array([[0, 0], [0, 1]]), "b": np.array([[0, 2], [255, 255]])}
    task.records = ["a", "b"]
    task.targets = SimpleNamespace(class_table=task.targets.class_table, of=lambda record: (maps[record], None))
    assert task.class_weight.tolist() == pytest.approx([(6 / 4) ** 0.5, 6**0.5, 6**0.5, 6**0.5])


def test_only_losses_of_plain_cross_entropy_can_weigh_classes():
    with pytest.raises(ValidationError, match="balanced is for the losses y_crf, y_ret, agreed, not nal"):
        SegmentSettings(class_weight="balanced")


def test_losses_of_one_batch_differ():
    losses, batch = [], make_batch()
    for name in ("nal", *ON_LABELS):
        task = make_task(loss=name)
        task.filling_rates = torch.tensor([1.0, 0.2, 0.5, 0.8])
        losses.append(round(task.loss(batch)[0].item(), 4))
    assert len(set(losses)) == len(ON_LABELS) + 1


def test_of_more_than_254_classes_another_label_is_ignored():
    """Class 255 is learned like any other; 65535 is not."""
    task, batch = make_task(300), make_batch(300, 65535)
    batch.y_crf[:, 20:, 20:], batch.y_ret[:, 20:, 20:] = 255, 255
    expected = nal_of(task, batch, **PAPER, ignore_index=65535)
    assert_same(value_and_gradient(task.loss(batch)[0], task), expected)


def test_the_log_says_how_much_differs_and_how_sure_labels_are_there():
    """By Eq. 12 with the settings' gamma; pixels that either map ignores are in neither region."""
    task, batch = make_task(gamma=2.5), make_batch()
    loss, metrics = task.loss(batch)
    differ = (batch.y_crf != batch.y_ret) & (batch.y_crf != 255) & (batch.y_ret != 255)
    sigma = confidence_map(cosines_of(task, batch), batch.y_crf, gamma=2.5)[differ].mean()
    assert metrics == pytest.approx(
        {"loss": loss.item(), "differ": (differ.sum() / (batch.y_crf != 255).sum()).item(), "sigma": sigma.item()},
        rel=1e-5,
    )


@pytest.mark.parametrize("gamma", [2.5, 7.0])
def test_confidence_maps_are_drawn_with_the_gamma_of_the_settings(monkeypatch, tmp_path, gamma):
    task, drawn = make_task(gamma=gamma, epochs=4), []
    task.records, task.seed, task.out = [], 0, tmp_path
    monkeypatch.setattr(task_module, "draw_confidence_maps", lambda *given: drawn.append(given))
    for epoch in range(5):
        task.after_epoch(epoch)
    assert [(given[3], given[4]) for given in drawn] == [(gamma, epoch) for epoch in range(5)]


def test_mean_filling_rates_are_those_of_each_class_and_1_without_a_box():
    """Rejected boxes do not count, and neither do images without labels."""
    boxes = {
        "a": [(1, "ok", 0.5), (1, "ok", 0.7), (3, "rejected", 0.0)],
        "b": [(2, "empty", 0.0), (2, "ok", 0.4)],
        "c": [(1, "ok", 0.0)],
    }
    labels = SimpleNamespace(
        has=lambda image_id: image_id != "c",
        boxes=lambda record: [
            SimpleNamespace(class_id=class_id, status=status, filling_rate=rate)
            for class_id, status, rate in boxes[record.image_id]
        ],
    )
    records = [SimpleNamespace(image_id=name) for name in boxes]
    torch.testing.assert_close(mean_filling_rates(labels, records, 4), torch.tensor([1.0, 0.6, 0.2, 1.0]))
