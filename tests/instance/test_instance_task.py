"""What the task of instance segmentation adds to the network's losses."""

from types import SimpleNamespace

import pytest
import torch

from bana.instance.heads import MaskObjective
from bana.instance.model import DETECTOR
from bana.instance.samples import Batch
from bana.instance.settings import InstanceSettings
from bana.instance.task import InstanceTask


def make_task(world_size=1, **changes):
    task = InstanceTask(InstanceSettings(**changes))
    losses = {"loss_mask": torch.tensor(3.0), "loss_box_reg": torch.tensor(0.5), "loss_objectness": torch.tensor(1.5)}
    heads = SimpleNamespace(pairwise_weight=None)
    task.model = SimpleNamespace(roi_heads=heads, losses=lambda images, targets: dict(losses))
    task.context = SimpleNamespace(world_size=world_size)
    return task


def test_the_pairwise_loss_gets_its_full_weight_in_the_first_ninth_of_a_run():
    task = make_task(schedule="multistep")
    factors, weights = [], []
    for progress in (0.0, 1 / 18, 1 / 9, 0.5, 0.95):
        factors.append(task.lr_factor(progress))
        weights.append(task.model.roi_heads.pairwise_weight)
    assert weights == pytest.approx([0, 0.5, 1, 1, 1])
    assert factors == pytest.approx([1, 1, 1, 1, 0.01])


@pytest.mark.parametrize("processes", [1, 4])
def test_processes_share_the_sum_of_all_losses(processes):
    loss, metrics = make_task(processes).loss(Batch(torch.zeros(1, 3, 9, 9), []))
    assert loss.item() == pytest.approx(5 / processes)
    expected = {"loss": 5, "mask": 3, "box_reg": 0.5, "objectness": 1.5}
    assert metrics == pytest.approx({name: value / processes for name, value in expected.items()})


def test_the_settings_say_what_the_mask_head_learns():
    settings = InstanceSettings(
        backbone="lite0", backbone_weights="random", width=8, mask_loss="noise_aware", gamma=3.0, lam=0.4
    )
    network = DETECTOR.build(settings, 2, seed=0, weights="random")
    assert network.roi_heads.objective == MaskObjective("noise_aware", 3.0, 0.4)
