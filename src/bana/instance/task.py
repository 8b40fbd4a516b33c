"""The training step of a Mask R-CNN."""

from __future__ import annotations

from torch import Tensor

from bana.engine.distributed import SINGLE_PROCESS, DistContext
from bana.instance.model import InstanceNetwork
from bana.instance.samples import Batch
from bana.instance.settings import InstanceSettings
from bana.nn.training import build_optimizer

_PAIRWISE_WARMUP = 1 / 9
"""The share of a run over which BoxInst's pairwise loss gets its full weight: neighbors that are alike have nothing to
agree on before projections say where the object is."""


class InstanceTask:
    """Model, optimizer, loss and schedule.

    Args:
        model: The network.
        settings: Of its training.
        processes: Those that train together; each takes the means over its own share, as is the field's custom.
    """

    def __init__(
        self, model: InstanceNetwork, settings: InstanceSettings, processes: DistContext = SINGLE_PROCESS
    ) -> None:
        self.model = model
        self.settings = settings
        self.optimizer = build_optimizer(model, settings)
        self._processes = processes

    def rate(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` of the run."""
        self.model.roi_heads.pairwise_weight = min(1.0, progress / _PAIRWISE_WARMUP)
        return self.settings.lr_factor(progress)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The sum of all losses, and each of them."""
        count = self._processes.count
        losses = {name: each / count for name, each in self.model.losses(batch.images, batch.targets).items()}
        total = sum(losses.values(), start=batch.images.new_zeros(()))
        return total, {
            "loss": total.item(),
            **{name.removeprefix("loss_"): each.item() for name, each in losses.items()},
        }
