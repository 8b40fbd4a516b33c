"""Instance segmentation: learning boxes and masks of objects (paper 4.3)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from bana.data.records import BoxDataset, ImageRecord
from bana.instance.model import DETECTOR, InstanceNetwork
from bana.instance.samples import Batch, InstanceCrops, collate
from bana.instance.settings import InstanceSettings
from bana.instance.targets import ObjectTargets
from bana.nn.task import Task

_PAIRWISE_WARMUP = 1 / 9
"""The share of a run over which BoxInst's pairwise loss gets its full weight: neighbors that are alike have nothing to
agree on before projections say where the object is."""


class InstanceTask(Task[InstanceNetwork, InstanceSettings]):
    """Learn a Mask R-CNN from boxes and the masks that these were labeled with.

    Images without boxes are learned as showing no object. Each process takes the means over its own share of a batch,
    as is the field's custom.

    Args:
        settings: How the network is built and trained.
        labels: A folder that ``bana label`` wrote (default: learn the data set's true masks).
        labeler: A labeler file or run whose backbone it starts from, where the settings ask for one (default: bana's
            own).
    """

    network_file = DETECTOR
    collate = staticmethod(collate)
    needs = "masks"

    def __init__(self, settings: InstanceSettings, *, labels: Path | None = None, labeler: Path | None = None) -> None:
        super().__init__(settings, labels, labeler)

    def open(self, data: BoxDataset) -> None:
        """As in Task."""
        super().open(data)
        self._targets = ObjectTargets(data.class_table, self.label_folder)

    def is_usable(self, record: ImageRecord) -> bool:
        """True; raises DataError if the image's labels or true mask are missing or damaged."""
        self._targets.of(record)
        return True

    def samples(self) -> InstanceCrops:
        """Random crops with the boxes and masks of objects."""
        return InstanceCrops(self.records, self._targets, self.settings, self.seed)

    def lr_factor(self, progress: float) -> float:
        """As in Task; also lets the pairwise loss grow."""
        self.model.roi_heads.pairwise_weight = min(1.0, progress / _PAIRWISE_WARMUP)
        return super().lr_factor(progress)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The sum of all losses, and each of them."""
        shares = self.context.world_size
        losses = {name: each / shares for name, each in self.model.losses(batch.images, batch.targets).items()}
        total = sum(losses.values(), start=batch.images.new_zeros(()))
        return total, {
            "loss": total.item(),
            **{name.removeprefix("loss_"): each.item() for name, each in losses.items()},
        }
