"""Stage 1: learning to classify boxes (paper 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.model import LABELER, BoxClassifier
from bana.classify.pooling import background_attention, background_aware_pool, background_queries
from bana.classify.samples import UNKNOWN, Batch, BoxCrops, collate, resize_to_features
from bana.classify.settings import ClassifySettings
from bana.data.records import ImageRecord
from bana.nn.task import Task


class ClassifyTask(Task[BoxClassifier, ClassifySettings]):
    """Learn to classify boxes.

    Args:
        settings: How the classifier is built and trained.
        label_settings: Settings of labeling to keep in the labeler file, as plain values.
        labels: A label folder of the images: pixels on which its labels agree are learned as well (a second round).
        labeler: A labeler file or run to start from, where the settings ask for one (default: bana's own).
    """

    network_file = LABELER
    collate = staticmethod(collate)
    needs = "boxes"

    def __init__(
        self,
        settings: ClassifySettings,
        *,
        label_settings: Mapping[str, Any] = MappingProxyType({}),
        labels: Path | None = None,
        labeler: Path | None = None,
    ) -> None:
        super().__init__(settings, labels, labeler)
        self.label_settings = dict(label_settings)

    def is_usable(self, record: ImageRecord) -> bool:
        """Whether an image shows an object that is no crowd."""
        return bool((~record.crowd).any())

    def samples(self) -> BoxCrops:
        """Random crops with boxes."""
        return BoxCrops(self.records, self.settings, self.seed, self.label_folder)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of boxes or, where ``pooling`` is ``image``, of whole images; and what the log says.

        Where labels of pixels are known, their cross-entropy is added.
        """
        features = self.model(batch.images)
        background, boxes, labels = resize_to_features(batch, (features.shape[2], features.shape[3]))
        if self.settings.pooling == "image":
            loss, metrics = self._image_loss(features, batch)
        else:
            loss, metrics = self._box_loss(features, background, boxes, batch)
        if known_labels := self.total((labels != UNKNOWN).sum()):
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
        scores = self.model.scores(torch.cat([bins.flatten(0, 1), queries[valid]]))
        truth = torch.cat(
            [batch.class_ids.repeat_interleave(bins.shape[1]), batch.class_ids.new_zeros(int(valid.sum()))]
        )
        bin_count = len(bins) * bins.shape[1]
        all_bins, all_queries = self.total(bin_count), self.total(len(truth) - bin_count)
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
        scores = self.model.scores(features.mean((2, 3)))[:, 1:]
        truth = torch.zeros_like(scores)
        truth[batch.image_classes[:, 0], batch.image_classes[:, 1] - 1] = 1.0
        count = self.total(truth.numel())
        loss = F.binary_cross_entropy_with_logits(scores, truth, reduction="sum") / count
        right = ((scores > 0) == (truth > 0)).sum().item()
        return loss, {"loss": loss.item(), "accuracy": right / count}

    def _cell_scores(self, features: Tensor) -> Tensor:
        """Scores of every cell: (N, L + 1, h, w)."""
        return torch.einsum("nchw,vc->nvhw", features, self.model.class_weights)

    def _attention(self, features: Tensor, background: Tensor, queries: Tensor, valid: Tensor) -> Tensor:
        if self.settings.pooling == "gap":
            return torch.zeros_like(background)
        enough = background.mean((1, 2, 3), keepdim=True) >= self.settings.min_background
        return background_attention(features, queries, valid) * enough
