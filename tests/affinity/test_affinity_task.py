"""What an affinity network learns from, the loss of a batch, and what a walk makes of what it has learned."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from bana.affinity.losses import UNKNOWN
from bana.affinity.model import AFFINITY, AffinityNetwork
from bana.affinity.samples import LabeledCrops, ReliableCrops, cell_labels, collate
from bana.affinity.settings import AffinitySettings
from bana.affinity.task import AffinityTask
from bana.affinity.walk import random_walk, transition
from bana.data.images import open_record_image
from bana.data.label_folder import LabelFolder
from bana.data.reading import read_dataset
from bana.engine.loop import LOG
from bana.nn.backbones import Backbone, BackboneInfo
from bana.nn.network import network_input
from reference import affinity_loops
from shapes_data import IMAGES, true_mask

SIDE, STRIDE, RADIUS = 65, 16, 3


class Patches(nn.Module):
    """A backbone of one convolution whose cells' centers sit on pixels 0, 16, ..."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Conv2d(3, 6, 3, stride=STRIDE, padding=1)

    def forward(self, images):
        return [self.fine(images).relu()]


@pytest.fixture
def begun(true_labels):
    """A task with a small network, at the first step."""
    torch.manual_seed(0)
    info = BackboneInfo((6,), (STRIDE,), (100.0,) * 3, (50.0,) * 3, "none", "none")
    task = AffinityTask(AffinitySettings(crop_size=SIDE, radius=RADIUS, train_backbone="all"), true_labels)
    task.begin(AffinityNetwork(Backbone(Patches(), info), 4))
    return task


def make_batch(count=3):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return LabeledCrops(images, torch.randint(UNKNOWN, 3, (count, SIDE, SIDE), generator=generator))


def test_the_loss_is_the_sum_of_the_means_of_its_kinds(begun):
    """By the loops, on every sixteenth pixel."""
    batch = make_batch()
    loss, metrics = begun.loss(batch)
    features = begun.model(batch.images.float()).tolist()
    labels = batch.labels[:, ::STRIDE, ::STRIDE].tolist()
    images = [affinity_loops.pair_losses(*image, RADIUS) for image in zip(features, labels, strict=True)]
    sums, counts = (np.sum([image[part] for image in images], axis=0) for part in (0, 1))
    assert (counts > 0).all()
    means = dict(zip(("object", "background", "apart"), sums / counts, strict=True))
    expected = means | {"loss": means["object"] + means["background"] + 2 * means["apart"]}
    assert metrics == pytest.approx(expected, rel=1e-4)
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-4)


def test_all_parameters_learn(begun):
    begun.loss(make_batch())[0].backward()
    assert all(tensor.grad.isfinite().all() and tensor.grad.any() for tensor in begun.model.parameters())


def test_a_batch_of_neutral_pixels_has_finite_gradients(begun):
    batch = make_batch()
    loss, _ = begun.loss(LabeledCrops(batch.images, torch.full_like(batch.labels, UNKNOWN)))
    loss.backward()
    assert loss.item() == 0
    assert all(not tensor.grad.any() for tensor in begun.model.parameters())


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
    batch = make_batch()
    begun.context = whole = Shared()
    loss, metrics = begun.loss(batch)
    shares = []
    for part in (slice(0, 1), slice(1, 3)):
        begun.context = Shared(whole.sums)
        shares.append(begun.loss(LabeledCrops(batch.images[part], batch.labels[part])))
    (first, first_metrics), (second, second_metrics) = shares
    assert first > 0
    torch.testing.assert_close(first + second, loss)
    assert {name: first_metrics[name] + second_metrics[name] for name in metrics} == pytest.approx(metrics, rel=1e-5)


def test_a_crop_has_the_labels_of_its_pixels(shapes_voc, tiny_labels):
    """What lies outside the image, and where the two label maps differ, is neutral."""
    settings = AffinitySettings(crop_size=129, scale_range=(1.0, 1.0), color_jitter=0.0)
    samples = ReliableCrops(list(read_dataset(shapes_voc)), settings, 0, LabelFolder(tiny_labels))
    batch = collate([samples[(0, index)] for index in range(len(samples))])
    assert batch.images.shape == (6, 3, 129, 129)
    assert batch.labels.dtype == torch.int64
    for labels, (name, (size, _)) in zip(batch.labels, IMAGES.items(), strict=True):
        agreed = LabelFolder(tiny_labels).label_map("agreed", read_dataset(shapes_voc)[list(IMAGES).index(name)])
        values, counts = np.unique(agreed, return_counts=True)
        expected = {int(value): int(count) for value, count in zip(values, counts, strict=True) if value != 255}
        found = {int(value): int((labels == value).sum()) for value in labels.unique() if value != UNKNOWN}
        assert found == expected
        assert (labels == UNKNOWN).sum() >= 129**2 - size[0] * size[1]
    again = samples[(0, 2)]
    assert torch.equal(again.images[0], batch.images[2])
    assert torch.equal(again.labels[0], batch.labels[2])


def test_a_cell_has_the_label_of_the_pixel_nearest_to_its_center():
    labels = torch.arange(2 * 9 * 9).view(2, 9, 9)
    assert torch.equal(cell_labels(labels, (3, 3)), labels[:, ::4, ::4])
    assert torch.equal(cell_labels(labels, (1, 1)), labels[:, :1, :1])


def test_the_loss_falls(tiny_affinity_run):
    losses = [json.loads(line)["loss"] for line in (tiny_affinity_run / LOG).read_text().splitlines()]
    quarter = len(losses) // 4
    assert np.mean(losses[-quarter:]) < 0.8 * np.mean(losses[:quarter])


def test_a_walk_fills_objects_from_their_centers(tiny_affinity_run, shapes_voc):
    """Seeds in the middle of objects, as CAMs are: after a walk that suits so small a map, they are the true shapes."""
    generator = torch.Generator().manual_seed(0)
    network, facts = AFFINITY.load(tiny_affinity_run)
    before, after = [], []
    for record in list(read_dataset(shapes_voc))[:5]:
        pixels = network_input(open_record_image(record), facts.settings.image_side, network.backbone.info.multiple)
        with torch.inference_mode():
            features = network(pixels)[0]
        size, shapes = IMAGES[record.image_id]
        truth = cells(true_mask(size, shapes) > 0, features.shape[1:])
        seeds = torch.zeros(truth.shape)
        seeds[centers(shapes, size, truth.shape)] = 1.0
        sure = cells(true_mask(size, shapes) == 0, truth.shape) & (torch.rand(truth.shape, generator=generator) < 0.3)
        maps = torch.stack([sure.float(), seeds])
        walked = random_walk(transition(features, facts.settings.radius, 8.0), maps, 16)
        before.append(iou(seeds > 0, truth))
        after.append(iou(walked[1] > walked[0], truth))
    assert np.mean(after) > np.mean(before) + 0.2


def cells(mask, size):
    return cell_labels(torch.from_numpy(mask)[None], tuple(size))[0]


def centers(shapes, size, grid):
    """The cells of the middle third of every box, bool (h, w)."""
    rows, columns = (torch.linspace(0, pixels, count) for pixels, count in zip(size[::-1], grid, strict=True))
    inside = torch.zeros(grid, dtype=torch.bool)
    for _, (x0, y0, x1, y1) in shapes:
        inside |= ((rows - (y0 + y1) / 2).abs() < (y1 - y0) / 6)[:, None] & (
            (columns - (x0 + x1) / 2).abs() < (x1 - x0) / 6
        )
    return inside


def iou(first, second):
    return ((first & second).sum() / (first | second).sum()).item()
