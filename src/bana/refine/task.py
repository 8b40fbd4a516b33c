"""Stage 2b: learning masks of single boxes from labels (beyond the paper)."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from bana.data.label_folder import LabelFolder
from bana.data.records import ImageRecord
from bana.errors import SettingsError
from bana.nn.initialization import LABELER_KIND, pretrained_path
from bana.nn.task import Task
from bana.nn.weights import digest, load_weights
from bana.refine.losses import pairwise_loss, reach_loss, weighted_cross_entropy
from bana.refine.model import REFINER, BoxRefiner
from bana.refine.samples import BoxWindows, Windows, collate, usable_boxes
from bana.refine.settings import RefineSettings


class RefineTask(Task[BoxRefiner, RefineSettings]):
    """Learn the mask of each box from labels of the whole image.

    Args:
        settings: How the refiner is built and trained.
        labels: A folder that ``bana label`` wrote.
        labeler: A labeler file or run whose refiner training starts from, where the settings ask for one (default:
            bana's own).
    """

    network_file = REFINER
    collate = staticmethod(collate)
    needs = "labeled boxes"

    def __init__(self, settings: RefineSettings, labels: Path, labeler: Path | None = None) -> None:
        super().__init__(settings, labels, labeler)

    def is_usable(self, record: ImageRecord) -> bool:
        """Whether an image has a labeled box that is large enough. Raises DataError if it has no labels."""
        labels = self._opened()
        labels.require(record)
        return bool(usable_boxes(record, labels.boxes(record), self.settings.min_side))

    def samples(self) -> BoxWindows:
        """The windows of each image's boxes."""
        return BoxWindows(self.records, self.settings, self.seed, self._opened())

    def _opened(self) -> LabelFolder:
        assert self.label_folder is not None  # there are labels: the constructor requires them
        return self.label_folder

    def start_from_labeler(self, model: BoxRefiner) -> None:
        """Give a new refiner the weights of the labeler's.

        Raises:
            CheckpointError: If the labeler is missing or damaged, or has no refiner.
            SettingsError: If its refiner is built otherwise.
        """
        file = LABELER_KIND.path(self.labeler or pretrained_path())
        theirs, facts = REFINER.load(file)
        for name in ("backbone", "context", "train_backbone"):
            wanted, built = getattr(self.settings, name), getattr(facts.settings, name)
            if wanted not in ("all", built):
                raise SettingsError(f"{file}: its refiner has {name} {built}, the settings {wanted}; set them alike")
        if self.settings.train_backbone != "all" and digest(theirs.frozen_state()) != digest(model.frozen_state()):
            raise SettingsError(f"{file}: its refiner has other frozen weights; set backbone_weights alike")
        load_weights(model, theirs.state_dict(), file)

    def loss(self, batch: Windows) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the known pixels, and what follows from boxes being tight and neighbors alike."""
        images = batch.images.float()
        logits = self.model(images).float()
        stride = (images.shape[-1] - 1) // (logits.shape[-1] - 1)
        targets, weights = (each[:, ::stride, ::stride].float() / 255 for each in (batch.targets, batch.weights))
        boxes = (batch.boxes - 0.5) / stride
        known, windows = self.total(weights.sum()), self.total(len(images))
        known_loss = weighted_cross_entropy(logits, targets, weights) / max(known, 1.0)
        reach = reach_loss(logits, boxes) / windows
        loss = known_loss + self.settings.reach_weight * reach
        metrics = {"known": known_loss.item(), "reach": reach.item()}
        if self.settings.pairwise_weight:
            colors = images[..., ::stride, ::stride] / 255
            pairwise = pairwise_loss(logits, colors, boxes) / windows
            loss = loss + self.settings.pairwise_weight * pairwise
            metrics["pairwise"] = pairwise.item()
        return loss, {"loss": loss.item(), **metrics}
