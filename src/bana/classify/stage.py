"""Stage 1's training step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.model import BoxClassifier
from bana.classify.pooling import background_attention, background_aware_pool, background_queries
from bana.classify.samples import UNKNOWN, Batch, on_features
from bana.classify.settings import ClassifySettings
from bana.data.records import LEAST_BACKGROUND
from bana.nn.training import build_optimizer


class ClassifyStage:
    """Model, optimiser, loss and schedule of stage 1."""

    def __init__(self, model: BoxClassifier, settings: ClassifySettings) -> None:
        self.model = model
        self.settings = settings
        self.optimizer = build_optimizer(model, settings)

    def rate(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` of the run."""
        return self.settings.rate_factor(progress)

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
        if (labels != UNKNOWN).any():
            known = F.cross_entropy(self._cell_scores(features), labels, ignore_index=UNKNOWN)
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
        if not len(truth):
            return scores.sum(), {"loss": 0.0}
        loss = F.cross_entropy(scores, truth)
        right = (scores.argmax(1) == truth).float()
        count = len(bins) * bins.shape[1]
        metrics = {"loss": loss.item()}
        if count:
            metrics["accuracy"] = right[:count].mean().item()
        if len(right) > count:
            metrics["background"] = right[count:].mean().item()
        return loss, metrics

    def _image_loss(self, features: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Binary cross-entropy over the classes of whole images; accuracy over images and classes."""
        scores = self.model.classifier(features.mean((2, 3)))[:, 1:]
        truth = torch.zeros_like(scores)
        truth[batch.image_classes[:, 0], batch.image_classes[:, 1] - 1] = 1.0
        loss = F.binary_cross_entropy_with_logits(scores, truth)
        return loss, {"loss": loss.item(), "accuracy": ((scores > 0) == (truth > 0)).float().mean().item()}

    def _cell_scores(self, features: Tensor) -> Tensor:
        """Scores of every cell: (N, L + 1, h, w)."""
        return torch.einsum("nchw,vc->nvhw", features, self.model.class_weights)

    def _attention(self, features: Tensor, background: Tensor, queries: Tensor, valid: Tensor) -> Tensor:
        if self.settings.pooling == "gap":
            return torch.zeros_like(background)
        enough = background.mean((1, 2, 3), keepdim=True) >= LEAST_BACKGROUND
        return background_attention(features, queries, valid) * enough
