"""Stage 1's training step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.model import BoxClassifier
from bana.classify.pooling import background_attention, background_aware_pool, background_queries
from bana.classify.samples import UNKNOWN, Batch, on_features
from bana.classify.settings import ClassifySettings
from bana.data.records import MIN_BACKGROUND
from bana.engine.distributed import SINGLE_PROCESS, DistContext
from bana.nn.training import build_optimizer


class ClassifyTask:
    """Model, optimizer, loss and schedule of stage 1.

    Args:
        model: The network.
        settings: Of its training.
        processes: Those that train together.
    """

    def __init__(
        self, model: BoxClassifier, settings: ClassifySettings, processes: DistContext = SINGLE_PROCESS
    ) -> None:
        self.model = model
        self.settings = settings
        self.optimizer = build_optimizer(model, settings)
        self._processes = processes

    def rate(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` of the run."""
        return self.settings.lr_factor(progress)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of boxes or, where ``pooling`` is ``image``, of whole images; and what the log says.

        Where labels of pixels are known, their cross-entropy is added.
        """
        features = self.model(batch.images)
        background, boxes, labels = on_features(batch, (features.shape[2], features.shape[3]))
        if self.settings.pooling == "image":
            loss, metrics = self._image_loss(features, batch)
        else:
            loss, metrics = self._box_loss(features, background, boxes, batch)
        if known_labels := self._count((labels != UNKNOWN).sum()):
            known = F.cross_entropy(self._cell_scores(features), labels, ignore_index=UNKNOWN, reduction="sum")
            known = known / known_labels
            loss = loss + known
            metrics["labels"] = known.item()
        return loss, metrics

    def _box_loss(
        self, features: Tensor, background: Tensor, boxes: Tensor, batch: Batch
    ) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy over the boxes' bins r and the background queries q; accuracy of both."""
        queries, valid = background_queries(features, background, self.settings.grid_size)
        attention = self._attention(features, background, queries, valid)
        pooled = background_aware_pool(features, attention, boxes, self.settings.roi_bins)
        bins = pooled.flatten(2).transpose(1, 2)  # (K, R*R, C)
        scores = self.model.classifier(torch.cat([bins.flatten(0, 1), queries[valid]]))
        truth = torch.cat(
            [batch.class_ids.repeat_interleave(bins.shape[1]), batch.class_ids.new_zeros(int(valid.sum()))]
        )
        bin_count = len(bins) * bins.shape[1]
        all_bins, all_queries = self._count(bin_count), self._count(len(truth) - bin_count)
        loss = F.cross_entropy(scores, truth, reduction="sum") / max(all_bins + all_queries, 1)
        right = (scores.argmax(1) == truth).float()
        metrics = {"loss": loss.item()}
        if all_bins:
            metrics["accuracy"] = right[:bin_count].sum().item() / all_bins
        if all_queries:
            metrics["background"] = right[bin_count:].sum().item() / all_queries
        return loss, metrics

    def _image_loss(self, features: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Binary cross-entropy over the classes of whole images; accuracy over images and classes."""
        scores = self.model.classifier(features.mean((2, 3)))[:, 1:]
        truth = torch.zeros_like(scores)
        truth[batch.image_classes[:, 0], batch.image_classes[:, 1] - 1] = 1.0
        count = self._count(truth.numel())
        loss = F.binary_cross_entropy_with_logits(scores, truth, reduction="sum") / count
        right = ((scores > 0) == (truth > 0)).sum().item()
        return loss, {"loss": loss.item(), "accuracy": right / count}

    def _count(self, number: Tensor | int) -> int:
        """A count of all processes' shares together."""
        return int(self._processes.total(torch.as_tensor(number, device=self._processes.device)))

    def _cell_scores(self, features: Tensor) -> Tensor:
        """Scores of every cell: (N, L + 1, h, w)."""
        return torch.einsum("nchw,vc->nvhw", features, self.model.class_weights)

    def _attention(self, features: Tensor, background: Tensor, queries: Tensor, valid: Tensor) -> Tensor:
        if self.settings.pooling == "gap":
            return torch.zeros_like(background)
        enough = background.mean((1, 2, 3), keepdim=True) >= MIN_BACKGROUND
        return background_attention(features, queries, valid) * enough
