"""Stage 3: learning segmentation from labels that may be wrong (paper 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bana.data.label_folder import LabelFolder, labels_of
from bana.data.records import BoxDataset, ImageRecord
from bana.engine.loop import Validated
from bana.engine.seeds import shuffled
from bana.errors import DataError, SettingsError
from bana.io.files import file_digest
from bana.nn.task import Task, lines_digest
from bana.segment.attention import attention_weighted_loss
from bana.segment.box_masking import box_masking_loss
from bana.segment.em_fixed import em_fixed_loss
from bana.segment.filling_rate import filling_rate_loss
from bana.segment.losses import (
    agreed_labels,
    bootstrapping_loss,
    confidence_map,
    differing,
    entropy_regularized_loss,
    noise_aware_loss,
    partial_cross_entropy,
)
from bana.segment.model import SEGMENTER, SegmentationNetwork, upsampled
from bana.segment.samples import Batch, LabeledCrops, Targets, collate
from bana.segment.settings import RATE_LOSSES, SegmentSettings
from bana.segment.validation import check_truth, draw_confidence_maps, forget_confidence_maps, network_miou

_COUNTED_IMAGES = 2000
"""From so many images, evenly chosen, follows how rare each class is."""


class SegmentTask(Task[SegmentationNetwork, SegmentSettings]):
    """Learn a class for every pixel.

    Args:
        settings: How the network is built and trained.
        labels: A folder that ``bana label`` wrote (default: learn only images with a true mask).
        masks: True masks by image id; an image that has one is learned from it alone.
        labeler: A labeler file or run to start from, where the settings ask for one (default: bana's own).
        validation: Images with true masks to score after every epoch.
        pictures: How many images get confidence maps, before the first epoch and at every quarter of the run (Fig. 5).
    """

    network_file = SEGMENTER
    collate = staticmethod(collate)
    needs = "labels"

    def __init__(
        self,
        settings: SegmentSettings,
        *,
        labels: Path | None = None,
        masks: Mapping[str, Path] = MappingProxyType({}),
        labeler: Path | None = None,
        validation: BoxDataset | None = None,
        pictures: int = 4,
    ) -> None:
        super().__init__(settings, labels, labeler)
        self.masks = masks
        self.validation = validation
        self.pictures = pictures

    def targets_of(self, data: BoxDataset) -> Targets:
        """Where images' labels come from. Raises DataError if classes differ, or no mask is of an image."""
        if self.masks and not any(record.image_id in self.masks for record in data):
            first = next(iter(self.masks.values()))
            raise DataError(f"{first}: is the mask of no image of {data.root}, nor is any other; name it <image>.png")
        return Targets(data.class_table, labels_of(data, self.labels), self.masks)

    def open(self, data: BoxDataset) -> None:
        """As in Task; raises SettingsError if the loss needs labels and there are none."""
        super().open(data)
        self.targets = self.targets_of(data)
        if self.settings.loss in RATE_LOSSES and self.labels is None:
            raise SettingsError(f"loss: {self.settings.loss} needs the filling rates of labels; give --labels")
        if self.validation is not None:
            check_truth(self.validation, data)

    def is_usable(self, record: ImageRecord) -> bool:
        """True; raises DataError if the image has no labels or they are damaged."""
        if record.image_id not in self.masks:
            if self.label_folder is None:
                raise DataError(
                    f"{record.path}: image {record.image_id} has no true mask; give --labels for it, or skip"
                )
            self.label_folder.require(record)
        self.targets.of(record)
        return True

    def identity(self) -> dict[str, Any]:
        """True masks, validation images, and images whose confidence maps are drawn."""
        masks = {
            record.image_id: self.masks[record.image_id] for record in self.records if record.image_id in self.masks
        }
        return {
            "masks": lines_digest(f"{image_id} {file_digest(path)}" for image_id, path in masks.items()),
            "masked_images": len(masks),
            "validation": None if self.validation is None else self.validation.fingerprint(),
            "pictures": [record.image_id for record in self._drawn_records()],
        }

    def samples(self) -> LabeledCrops:
        """Random crops with the labels of every pixel."""
        return LabeledCrops(self.records, self.targets, self.settings, self.seed)

    def after_epoch(self, epoch: int) -> Validated:
        """Draw confidence maps, and score the validation images."""
        self.model.eval()
        if self.context.is_main:
            if epoch == 0:
                forget_confidence_maps(self.out)
            if epoch in {self.settings.epochs * quarter // 4 for quarter in range(5)}:  # 0, 11, 22, 33, 45 of 45
                draw_confidence_maps(
                    self.model, self._drawn_records(), self.targets, self.settings.gamma, epoch, self.out
                )
        if self.validation is None or epoch == 0:
            return Validated({})
        miou = network_miou(self.model, self.validation, self.context)
        return Validated({"miou": miou}, miou)

    def _drawn_records(self) -> list[ImageRecord]:
        """The images whose confidence maps are drawn."""
        chosen = shuffled(len(self.records), self.seed, "pictures")[: self.pictures]
        return [self.records[index] for index in sorted(chosen)]

    @property
    def ignore_index(self) -> int:
        """The label of pixels that count for nothing."""
        return self.targets.class_table.ignore_index

    @cached_property
    def filling_rates(self) -> Tensor:
        """(L + 1,): the mean filling rate, 0..1, of every class's boxes in the labels; 1 for classes without boxes."""
        assert self.label_folder is not None
        return mean_filling_rates(self.label_folder, self.records, len(self.targets.class_table) + 1)

    @cached_property
    def class_weight(self) -> Tensor:
        """(L + 1,): the weight of each class's pixels, by the labels of up to 2,000 images."""
        classes = len(self.targets.class_table) + 1
        counts = np.zeros(classes)
        for record in self.records[:: -(-len(self.records) // _COUNTED_IMAGES)]:
            labels = self.targets.of(record)[0]
            counts += np.bincount(labels[labels < classes].ravel(), minlength=classes)
        return torch.from_numpy(np.sqrt(counts.sum() / np.maximum(counts, 1.0))).float()

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss that the settings name, the share of ~S among labeled pixels, and the mean sigma there."""
        size = (batch.y_crf.shape[1], batch.y_crf.shape[2])
        cosine, logits = self.model.with_branch(batch.images)
        cosine = upsampled(cosine, size)
        loss = (
            self._loss(cosine, batch) if logits is None else self._branch_loss(cosine, upsampled(logits, size), batch)
        )
        all_reduce = self.context.all_reduce
        differ = differing(batch.y_crf, batch.y_ret, self.ignore_index)
        labeled = all_reduce((batch.y_crf != self.ignore_index).sum()).clamp(min=1)
        metrics = {"loss": loss.item(), "differ": (differ.sum() / labeled).item()}
        if count := all_reduce(differ.sum()).item():
            rows = cosine.detach().permute(0, 2, 3, 1)[differ].T[None, :, :, None]  # (1, C, M, 1): those pixels alone
            labels = batch.y_crf[differ][None, :, None]
            sigma = rows.new_zeros(())
            if labels.numel():
                sigma = confidence_map(rows, labels, gamma=self.settings.gamma, ignore_index=self.ignore_index).sum()
            metrics["sigma"] = sigma.item() / count
        return loss, metrics

    @property
    def _common(self) -> dict[str, Any]:
        """What every loss is given."""
        return {
            "temperature": self.settings.temperature,
            "ignore_index": self.ignore_index,
            "all_reduce": self.context.all_reduce,
        }

    def _branch_loss(self, cosine: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """The losses of networks with a branch, whose logits are (N, L, H, W)."""
        rates, regions = self.filling_rates.to(cosine.device), batch.regions
        if self.settings.loss == "box_masking":
            return box_masking_loss(cosine, logits, batch.y_crf, batch.boxes, regions, rates, **self._common)
        return attention_weighted_loss(
            cosine, logits, batch.y_crf, regions, rates, lam=self.settings.lam, **self._common
        )

    def _loss(self, cosine: Tensor, batch: Batch) -> Tensor:
        settings, ignore, common = self.settings, self.ignore_index, self._common
        y_crf, y_ret = batch.y_crf, batch.y_ret
        match settings.loss:
            case "nal":
                return noise_aware_loss(
                    *(cosine, y_crf, y_ret),
                    gamma=settings.gamma,
                    lam=settings.lam,
                    detach_confidence=settings.detach_confidence,
                    mean_over=settings.nal_mean,
                    **common,
                )
            case "agreed" | "y_crf" | "y_ret":
                labels = {"agreed": agreed_labels(y_crf, y_ret, ignore), "y_crf": y_crf, "y_ret": y_ret}[settings.loss]
                weight = None if settings.class_weight == "uniform" else self.class_weight.to(cosine.device)
                return partial_cross_entropy(cosine, labels, class_weight=weight, **common)
            case "entropy":
                return entropy_regularized_loss(cosine, y_crf, y_ret, lam=settings.lam, **common)
            case "bootstrap_soft" | "bootstrap_hard":
                hard = settings.loss == "bootstrap_hard"
                return bootstrapping_loss(cosine, y_crf, y_ret, hard=hard, lam=settings.lam, **common)
            case "filling_rate":
                rates = self.filling_rates.to(cosine.device)
                return filling_rate_loss(cosine, y_crf, batch.boxes, rates, **common)
            case "em_fixed":
                return em_fixed_loss(cosine, y_crf, batch.regions, **common)
            case "attention_weighted" | "box_masking":
                raise AssertionError("their networks have a branch")


def mean_filling_rates(labels: LabelFolder, records: Sequence[ImageRecord], classes: int) -> Tensor:
    """The mean filling rate, 0..1, of the boxes of every class, (classes,); 1 for classes without boxes."""
    total, count = np.zeros(classes), np.zeros(classes)
    for record in records:
        for box in labels.boxes(record) if labels.has(record.image_id) else ():
            if box.status != "rejected":
                total[box.class_id] += box.filling_rate
                count[box.class_id] += 1
    return torch.from_numpy(np.where(count > 0, total / np.maximum(count, 1), 1.0)).float()
