"""Learning affinities from reliable labels (Ahn and Kwak, CVPR 2018, Sec. 3.2)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from bana.affinity.losses import affinity_loss, pair_losses
from bana.affinity.model import AFFINITY, AffinityNetwork
from bana.affinity.samples import LabeledCrops, ReliableCrops, cell_labels, collate
from bana.affinity.settings import AffinitySettings
from bana.data.label_folder import LabelFolder
from bana.data.records import ImageRecord
from bana.nn.task import Task


class AffinityTask(Task[AffinityNetwork, AffinitySettings]):
    """Learn which neighboring cells belong together.

    Args:
        settings: How the network is built and trained.
        labels: A folder of labels, reliable where both label maps agree.
    """

    network_file = AFFINITY
    collate = staticmethod(collate)
    needs = "labels"

    def __init__(self, settings: AffinitySettings, labels: Path) -> None:
        super().__init__(settings, labels)

    def is_usable(self, record: ImageRecord) -> bool:
        """Every image with labels is. Raises DataError if one has none."""
        self._opened().require(record)
        return True

    def samples(self) -> ReliableCrops:
        """Random crops with the classes of reliable pixels."""
        return ReliableCrops(self.records, self.settings, self.seed, self._opened())

    def _opened(self) -> LabelFolder:
        assert self.label_folder is not None  # there are labels: the constructor requires them
        return self.label_folder

    def loss(self, batch: LabeledCrops) -> tuple[Tensor, dict[str, float]]:
        """The loss of all pairs of the batch, and the mean of each of its kinds."""
        features = self.model(batch.images.float()).float()
        labels = cell_labels(batch.labels, (features.shape[2], features.shape[3]))
        sums, counts = pair_losses(features, labels, self.settings.radius)
        totals = sums.new_tensor([self.total(count) for count in counts])
        loss = affinity_loss(sums, totals)
        means: list[float] = (sums.detach() / totals.clamp(min=1.0)).tolist()
        return loss, {"loss": loss.item(), **dict(zip(("object", "background", "apart"), means, strict=True))}
