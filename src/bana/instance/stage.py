"""The training step of a Mask R-CNN."""

from __future__ import annotations

from torch import Tensor

from bana.instance.model import InstanceNetwork
from bana.instance.samples import Batch
from bana.instance.settings import InstanceSettings
from bana.nn.training import build_optimizer


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
        return self.settings.rate_factor(progress)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The sum of all losses, and each of them."""
        losses = self.model.losses(batch.images, batch.targets)
        total = sum(losses.values(), start=batch.images.new_zeros(()))
        return total, {
            "loss": total.item(),
            **{name.removeprefix("loss_"): each.item() for name, each in losses.items()},
        }
