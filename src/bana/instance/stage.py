"""The training step of a Mask R-CNN."""

from __future__ import annotations

from torch import Tensor

from bana.instance.model import InstanceNetwork
from bana.instance.samples import Batch
from bana.instance.settings import InstanceSettings
from bana.nn.training import build_optimizer

_PAIRWISE_WARM_UP = 1 / 9
"""The share of a run over which BoxInst's pairwise loss gets its full weight: neighbours that are alike have nothing to
agree on before projections say where the object is."""


class InstanceStage:
    """Model, optimiser, loss and schedule.

    Args:
        model: The network.
        settings: Of its training.
    """

    def __init__(self, model: InstanceNetwork, settings: InstanceSettings) -> None:
        self.model = model
        self.settings = settings
        self.optimizer = build_optimizer(model, settings)

    def rate(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` of the run."""
        self.model.roi_heads.pairwise_weight = min(1.0, progress / _PAIRWISE_WARM_UP)
        return self.settings.rate_factor(progress)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The sum of all losses, and each of them."""
        losses = self.model.losses(batch.images, batch.targets)
        total = sum(losses.values(), start=batch.images.new_zeros(()))
        return total, {
            "loss": total.item(),
            **{name.removeprefix("loss_"): each.item() for name, each in losses.items()},
        }
