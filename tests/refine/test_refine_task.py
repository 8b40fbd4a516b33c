"""What the refiner learns from, the loss of a batch, and starting from a labeler's refiner."""

import shutil

import pytest
import torch
from torch import nn

from bana.classify.model import LABELER
from bana.data.reading import read_dataset
from bana.errors import CheckpointError, DataError, SettingsError
from bana.nn.backbones import Backbone, BackboneInfo
from bana.nn.network_file import NetworkFacts
from bana.refine.model import REFINER, BoxRefiner
from bana.refine.samples import Windows
from bana.refine.settings import RefineSettings
from bana.refine.task import RefineTask
from reference import refine_loops
from shapes_data import CLASSES

SIDE, STRIDE = 65, 8


class Patches(nn.Module):
    """A backbone of two convolutions at strides 8 and 16, whose cells' centers sit on pixels 0, 8, ..."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Conv2d(3, 6, 3, stride=8, padding=1)
        self.coarse = nn.Conv2d(6, 8, 3, stride=2, padding=1)

    def forward(self, images):
        fine = self.fine(images).relu()
        return [fine, self.coarse(fine).relu()]


@pytest.fixture
def begun(true_labels):
    """A task with a small network, at the first step."""

    def make(**changes):
        torch.manual_seed(0)
        info = BackboneInfo((6, 8), (8, 16), (100.0,) * 3, (50.0,) * 3, "none", "none")
        task = RefineTask(RefineSettings(crop_size=SIDE, **changes), true_labels)
        model = BoxRefiner(Backbone(Patches(), info), 1.5)
        nn.init.normal_(model.head.output.weight, std=1.0)  # a new network's answers are all alike
        task.begin(model)
        return task

    return make


def make_batch(count=3):
    generator = torch.Generator().manual_seed(1)

    def levels(*size):
        return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)

    images, targets, weights = (
        levels(count, 3, SIDE, SIDE) // 8,
        levels(count, SIDE, SIDE),
        levels(count, SIDE, SIDE),
    )
    weights[weights < 100] = 0
    corners = torch.tensor([[11.0, 9.5, 54.0, 54.0], [12.0, 14.0, 50.0, 40.0], [3.0, 10.0, 54.0, 60.0]])[:count]
    return Windows(images, targets, weights, corners)


def part_of(batch, part):
    return Windows(*(getattr(batch, name)[part] for name in vars(batch)))


def on_cells(batch):
    """Targets, weights, colors and boxes as the network's map has them, as nested lists."""
    targets, weights = (
        (each[:, ::STRIDE, ::STRIDE].double() / 255).tolist() for each in (batch.targets, batch.weights)
    )
    colors = [
        [[[channel[STRIDE * y, STRIDE * x].item() / 255 for x in range(9)] for y in range(9)] for channel in image]
        for image in batch.images
    ]
    return targets, weights, colors, ((batch.boxes.double() - 0.5) / STRIDE).tolist()


def test_the_loss_is_the_sum_of_its_parts(begun):
    """By the loops, on every eighth pixel, with the box in cells."""
    task, batch = begun(reach_weight=0.3, pairwise_weight=0.7), make_batch()
    loss, metrics = task.loss(batch)
    logits = task.model(batch.images.float()).tolist()
    targets, weights, colors, boxes = on_cells(batch)
    known = refine_loops.weighted_cross_entropy(logits, targets, weights)
    expected = {
        "known": known / sum(value for window in weights for row in window for value in row),
        "reach": refine_loops.reach_loss(logits, boxes) / 3,
        "pairwise": refine_loops.pairwise_loss(logits, colors, boxes) / 3,
    }
    assert all(value > 0 for value in expected.values())
    expected["loss"] = expected["known"] + 0.3 * expected["reach"] + 0.7 * expected["pairwise"]
    assert metrics == pytest.approx(expected, rel=1e-4)
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-4)


def test_the_pairwise_loss_is_not_computed_without_weight(begun):
    loss, metrics = begun(reach_weight=0.0, pairwise_weight=0.0).loss(make_batch())
    assert set(metrics) == {"loss", "known", "reach"}
    assert loss.item() == metrics["known"]


def test_all_parameters_learn(begun):
    task = begun()
    task.loss(make_batch())[0].backward()
    assert all(tensor.grad.isfinite().all() and tensor.grad.any() for tensor in task.model.parameters())


def test_a_batch_without_a_known_pixel_has_finite_gradients(begun):
    task, batch = begun(reach_weight=0.0, pairwise_weight=0.0), make_batch()
    loss, _ = task.loss(Windows(batch.images, batch.targets, torch.zeros_like(batch.weights), batch.boxes))
    loss.backward()
    assert loss.item() == 0
    assert all(not tensor.grad.any() for tensor in task.model.parameters())


class Shared:
    """Stands for processes that share a batch: sums over all processes are those of the whole batch, as noted."""

    device = "cpu"

    def __init__(self, sums=None):
        self.sums = [] if sums is None else list(sums)
        self._notes = sums is None

    def all_reduce(self, number):
        if not self._notes:
            return torch.tensor(self.sums.pop(0))
        self.sums.append(float(number))
        return number


def test_two_shares_of_a_batch_add_up(begun):
    """What one process has of three windows, and another, adds up to what a single one would have: gradients too."""
    task, batch = begun(pairwise_weight=0.7), make_batch()
    weight = task.model.backbone.network.fine.weight
    task.context = whole = Shared()
    loss, metrics = task.loss(batch)
    (gradient,) = torch.autograd.grad(loss, weight)
    shares = []
    for part in (slice(0, 1), slice(1, 3)):
        task.context = Shared(whole.sums)
        share, share_metrics = task.loss(part_of(batch, part))
        shares.append((share, share_metrics, torch.autograd.grad(share, weight)[0]))
    (first, first_metrics, first_gradient), (second, second_metrics, second_gradient) = shares
    assert first > 0
    torch.testing.assert_close(first + second, loss)
    torch.testing.assert_close(first_gradient + second_gradient, gradient, rtol=1e-4, atol=1e-6)
    assert {name: first_metrics[name] + second_metrics[name] for name in metrics} == pytest.approx(metrics, rel=1e-5)


def test_the_sums_that_processes_share_are_weights_and_windows(begun):
    task, batch = begun(), make_batch()
    task.context = noted = Shared()
    task.loss(batch)
    assert noted.sums == pytest.approx([float(batch.weights[:, ::8, ::8].double().sum() / 255), 3])


def test_images_with_a_box_that_is_large_enough_are_usable(shapes_voc, true_labels):
    dataset = read_dataset(shapes_voc)
    task = RefineTask(RefineSettings(min_side=36), true_labels)
    task.open(dataset)
    usable = {record.image_id for record in dataset if task.is_usable(record)}
    assert usable == {"a", "c", "f"}  # the shorter sides of others are at most 35


def test_an_image_without_labels_is_named(shapes_voc, true_labels, tmp_path):
    labels = shutil.copytree(true_labels, tmp_path / "labels")
    (labels / "instances/c.json").unlink()
    task = RefineTask(RefineSettings(min_side=8), labels)
    task.open(read_dataset(shapes_voc))
    with pytest.raises(DataError, match="image c has no labels; run bana label"):
        [task.is_usable(record) for record in task.data]


def test_a_folder_without_labels_is_refused(shapes_voc, tmp_path):
    with pytest.raises(DataError, match=r"holds no labels\.json"):
        RefineTask(RefineSettings(), tmp_path).open(read_dataset(shapes_voc))


def started(labeler, settings, true_labels):
    model = REFINER.build(settings, 3, seed=5)
    RefineTask(settings, true_labels, labeler).start_from_labeler(model)
    return model


def test_a_new_refiner_takes_the_weights_of_the_labelers(tiny_refine_run, tiny_refine_settings, true_labels):
    for part, weights in (("late", "default"), ("all", "random")):
        settings = tiny_refine_settings.model_copy(update={"train_backbone": part, "backbone_weights": weights})
        model = started(tiny_refine_run, settings, true_labels)
        theirs, _ = REFINER.load(LABELER.path(tiny_refine_run))
        own, other = model.state_dict(), theirs.state_dict()
        assert own.keys() == other.keys()
        assert all(torch.equal(own[name], other[name]) for name in own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "lite2", "backbone_weights": "random"}, "its refiner has backbone lite0, the settings lite2"),
        ({"context": 2.0}, r"its refiner has context 1\.5, the settings 2\.0"),
    ],
)
def test_a_refiner_that_is_built_otherwise_is_no_start(
    tiny_refine_run, tiny_refine_settings, true_labels, changes, message
):
    with pytest.raises(SettingsError, match=message):
        started(tiny_refine_run, tiny_refine_settings.model_copy(update=changes), true_labels)


def test_a_labeler_without_a_refiner_is_no_start(tiny_settings, tiny_refine_settings, true_labels, tmp_path):
    labeler = LABELER.build(tiny_settings, 3, seed=0)
    LABELER.save(tmp_path / LABELER.file_name, labeler, NetworkFacts(CLASSES, tiny_settings))
    with pytest.raises(CheckpointError, match=r"labeler\.safetensors: not a refiner; .*bana refine"):
        started(tmp_path, tiny_refine_settings, true_labels)


def test_a_refiner_of_other_frozen_layers_is_no_start(tiny_refine_settings, true_labels, tmp_path):
    """Its early layers were trained; the new file would hold neither them nor the pretrained ones."""
    trained = tiny_refine_settings.model_copy(update={"train_backbone": "all", "backbone_weights": "random"})
    REFINER.save(tmp_path / "r.safetensors", REFINER.build(trained, 3, seed=1), NetworkFacts(CLASSES, trained))
    with pytest.raises(SettingsError, match=r"r\.safetensors"):
        started(tmp_path / "r.safetensors", tiny_refine_settings, true_labels)
