"""Every network of stage 3 keeps one contract; the paper's recipes are as DESIGN writes them."""

import os

import pytest
import torch
from torch import nn

from bana.data.records import ClassTable
from bana.nn.heads import ASPP, FusingHead
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset
from bana.segment.model import SEGMENTER
from bana.segment.samples import Batch, Targets
from bana.segment.settings import BRANCH_LOSSES, SegmentSettings
from bana.segment.task import SegmentTask

RANDOM = {"backbone_weights": "random"}
NETWORKS = {
    "deeplab-v1": SegmentSettings(backbone="vgg16", **RANDOM),
    "deeplab-v2": SegmentSettings(backbone="resnet101", head="aspp", **RANDOM),
    "lite0": SegmentSettings(backbone="lite0", head="fuse", head_width=32),
    "lite0-aspp": SegmentSettings(backbone="lite0", head="aspp", head_width=32),
    "timm": SegmentSettings(backbone="timm:resnet18", head="fuse", head_width=32, **RANDOM),
}
WIDTHS = {"deeplab-v1": 1024, "deeplab-v2": 256, "lite0": 32, "lite0-aspp": 32, "timm": 32}
STRIDES = {"deeplab-v1": 8, "deeplab-v2": 8, "lite0": 8, "lite0-aspp": 32, "timm": 8}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return request.param, SEGMENTER.build(NETWORKS[request.param], classes=3, seed=1)


def make_task(model, settings):
    task = SegmentTask(settings)
    task.targets = Targets(ClassTable(("a",)), None, {})
    task.begin(model)
    return task


def images(side, count=2):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 255


def test_images_to_cosines_on_the_finest_grid(network):
    name, model = network
    with torch.inference_mode():
        cosine = model.eval()(images(65))
    cells = 64 // STRIDES[name] + 1
    assert cosine.shape == (2, 4, cells, cells)
    assert cosine.dtype == torch.float32
    assert cosine.abs().max() <= 1 + 1e-6
    assert cosine.std() > 0
    assert model.class_weights.shape == (4, WIDTHS[name])


def test_cosines_do_not_depend_on_the_lengths_of_class_weights(network):
    _, model = network
    with torch.inference_mode():
        before = model.eval()(images(33, 1))
        model.class_weights *= 7.0
        assert torch.allclose(model(images(33, 1)), before, atol=1e-6)


def test_a_step_reaches_every_trained_tensor(network):
    name, model = network
    settings = NETWORKS[name].model_copy(update={"loss": "y_crf"})
    stage = make_task(model.train(), settings)
    labels = torch.randint(0, 4, (2, 65, 65), generator=torch.Generator().manual_seed(0))
    loss, metrics = stage.loss(Batch(images(65), labels, labels, labels))
    loss.backward()
    without = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
    assert metrics["loss"] == loss.item() > 0
    assert metrics["differ"] == 0


@pytest.mark.parametrize("loss", BRANCH_LOSSES)
def test_a_branch_is_reached_and_changes_no_other_layer(loss):
    plain = NETWORKS["lite0"]
    model = SEGMENTER.build(plain.model_copy(update={"loss": loss}), classes=3, seed=1)
    without = SEGMENTER.build(plain, classes=3, seed=1).state_dict()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in without.items())
    cosine, logits = model.with_branch(images(65))
    assert logits.shape == (2, 3, *cosine.shape[2:])
    assert torch.equal(model(images(65)), cosine)
    (cosine.sum() + logits.sum()).backward()
    assert model.branch.weight.grad.any()


def test_masks_scale_the_cosines_of_their_classes():
    model = SEGMENTER.build(NETWORKS["lite0"].model_copy(update={"loss": "box_masking"}), classes=3, seed=1)
    plain = SEGMENTER.build(NETWORKS["lite0"], classes=3, seed=1)
    with torch.inference_mode():
        model.branch.bias.copy_(torch.tensor([50.0, 0.0, -50.0]))
        model.branch.weight.zero_()
        masked, whole = model.eval()(images(65)), plain.eval()(images(65))
    factors = torch.tensor([1.0, 1.0, 0.5, 0.0])[:, None, None]
    torch.testing.assert_close(masked, whole * factors, atol=1e-6, rtol=1e-5)


def test_the_same_seed_builds_the_same_network():
    first, second, other = (SEGMENTER.build(NETWORKS["lite0"], 3, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["class_weights"], other["class_weights"])


def test_aspp_sums_its_dilated_branches():
    head = ASPP((8, 16), 4)
    maps = [torch.rand(1, 8, 30, 30), torch.rand(1, 16, 15, 15)]
    assert [branch.dilation for branch in head.branches] == [(6, 6), (12, 12), (18, 18), (24, 24)]
    by_hand = sum(
        torch.nn.functional.conv2d(
            maps[1], branch.weight, branch.bias, padding=branch.dilation, dilation=branch.dilation
        )
        for branch in head.branches
    )
    assert torch.allclose(head(maps), by_hand, atol=1e-6)


def rates(stage):
    """Rate and decay of every group, by whether its tensors are biases and of the backbone."""
    names = {id(parameter): name for name, parameter in stage.model.named_parameters()}
    found = {}
    for group in stage.optimizer.param_groups:
        kinds = {
            (names[id(each)].startswith("backbone."), names[id(each)].endswith(".bias")) for each in group["params"]
        }
        assert len(kinds) == 1
        found[kinds.pop()] = (group["lr"], group["weight_decay"], group["momentum"])
    return found


@pytest.mark.parametrize(
    ("preset", "head", "epochs", "batch", "rate"),
    [("vgg16", type(None), 45, 20, (1e-3, 1e-2)), ("resnet101", ASPP, 20, 10, (2.5e-4, 2.5e-3))],
)
def test_the_papers_recipes(preset, head, epochs, batch, rate):
    settings = load_preset(preset, Recipe).segment
    assert (settings.epochs, settings.batch_size, settings.crop_size) == (epochs, batch, 321)
    assert (settings.temperature, settings.gamma, settings.lam, settings.loss) == (20, 7, 0.1, "nal")
    assert (settings.optimizer, settings.schedule, settings.train_backbone) == ("sgd", "poly", "all")
    assert settings.scale_range == (0.5, 1.5)
    assert [round(settings.lr_factor(share), 4) for share in (0, 0.5, 0.9)] == [1, round(0.5**0.9, 4), 0.1259]
    stage = make_task(SEGMENTER.build(settings.model_copy(update=RANDOM), 20, 0), settings)
    assert isinstance(stage.model.head, head)
    groups = rates(stage)
    pretrained, new = rate
    assert groups[True, False] == (pretrained, 5e-4, 0.9)
    assert groups[True, True] == (2 * pretrained, 0, 0.9)
    assert groups[False, False] == (new, 5e-4, 0.9)
    assert groups.get((False, True), (2 * new, 0, 0.9)) == (2 * new, 0, 0.9)
    assert stage.model.class_weights.shape == (21, 1024 if preset == "vgg16" else 256)


def test_the_cpu_preset_starts_from_the_box_classifier():
    recipe = load_preset("lite0", Recipe)
    assert (recipe.segment.start, recipe.segment.head, recipe.segment.head_width) == ("labeler", "fuse", 256)
    assert recipe.segment.train_backbone == recipe.classify.train_backbone == "late"
    assert recipe.classify.head_width == 256
    assert isinstance(SEGMENTER.build(recipe.segment, 20, 0).head, FusingHead)


@torch.no_grad()
def measure_statistics(model, pixels):
    """Give frozen batch normalization the statistics that pretrained weights come with.

    Without them a random ResNet-101 multiplies its input by thousands, and no step does what it should.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.train()
        layer.momentum = 1.0
    model(pixels)
    for layer in layers:
        layer.eval()


@pytest.mark.slow
@pytest.mark.skipif("BANA_TEST_RECIPES" not in os.environ, reason="minutes a step; set BANA_TEST_RECIPES to run it")
@pytest.mark.parametrize(("preset", "batch"), [("vgg16", 20), ("resnet101", 10)])
def test_three_real_steps_at_full_batch_and_crop(preset, batch, tmp_path):
    settings = load_preset(preset, Recipe).segment.model_copy(update=RANDOM)
    stage = make_task(SEGMENTER.build(settings, 20, 0), settings)
    generator = torch.Generator().manual_seed(0)
    y_crf = torch.randint(0, 21, (batch, 5, 5), generator=generator).repeat_interleave(65, 1).repeat_interleave(65, 2)
    y_crf = y_crf[:, :321, :321].contiguous()
    y_ret = y_crf.clone()
    y_ret[:, 40:90] = 1
    measure_statistics(stage.model, images(321, batch))
    before = {name: value.clone() for name, value in stage.model.state_dict().items()}
    losses = []
    for _ in range(3):
        loss, metrics = stage.loss(Batch(images(321, batch), y_crf, y_ret, y_crf))
        stage.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        stage.optimizer.step()
        losses.append(metrics["loss"])
    after = stage.model.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    assert losses[2] < losses[0]
    assert all(not torch.equal(before[name], after[name]) for name, _ in stage.model.named_parameters())
