"""Stage 3's training step."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bana.engine.distributed import SINGLE_PROCESS, DistContext
from bana.nn.training import build_optimizer
from bana.segment.losses import (
    agreed_labels,
    bootstrapping_loss,
    confidence_map,
    differing,
    entropy_regularized_loss,
    filling_rate_loss,
    noise_aware_loss,
    partial_cross_entropy,
)
from bana.segment.model import SegmentationNetwork, upsampled
from bana.segment.samples import Batch
from bana.segment.settings import SegmentSettings


class SegmentTask:
    """Model, optimizer, loss and schedule of stage 3.

    Args:
        model: The network.
        settings: Of its training.
        ignore_index: The label of pixels that count for nothing.
        filling_rates: (L + 1,) share of a class's box that its object fills, 0..1; for the loss that needs it.
        processes: Those that train together.
    """

    def __init__(
        self,
        model: SegmentationNetwork,
        settings: SegmentSettings,
        ignore_index: int,
        filling_rates: Tensor | None = None,
        processes: DistContext = SINGLE_PROCESS,
    ) -> None:
        self.model = model
        self.settings = settings
        self.optimizer = build_optimizer(model, settings)
        self._ignore_index = ignore_index
        self._filling_rates = filling_rates
        self._processes = processes

    def rate(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` of the run."""
        return self.settings.lr_factor(progress)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss that the settings name, the share of ~S among labeled pixels, and the mean sigma there."""
        size = (batch.y_crf.shape[1], batch.y_crf.shape[2])
        cosine = upsampled(self.model(batch.images), size)
        loss = self._loss(cosine, batch)
        total = self._processes.total
        differ = differing(batch.y_crf, batch.y_ret, self._ignore_index)
        labeled = total((batch.y_crf != self._ignore_index).sum()).clamp(min=1)
        metrics = {"loss": loss.item(), "differ": (differ.sum() / labeled).item()}
        if count := total(differ.sum()).item():
            rows = cosine.detach().permute(0, 2, 3, 1)[differ].T[None, :, :, None]  # (1, C, M, 1): those pixels alone
            labels = batch.y_crf[differ][None, :, None]
            sigma = rows.new_zeros(())
            if labels.numel():
                sigma = confidence_map(rows, labels, gamma=self.settings.gamma, ignore_index=self._ignore_index).sum()
            metrics["sigma"] = sigma.item() / count
        return loss, metrics

    def _loss(self, cosine: Tensor, batch: Batch) -> Tensor:
        settings, ignore = self.settings, self._ignore_index
        y_crf, y_ret = batch.y_crf, batch.y_ret
        common: Any = {
            "temperature": settings.temperature,
            "ignore_index": ignore,
            "total": self._processes.total,
        }
        match settings.loss:
            case "nal":
                return noise_aware_loss(
                    *(cosine, y_crf, y_ret),
                    gamma=settings.gamma,
                    lam=settings.lam,
                    detach_confidence=settings.detach_confidence,
                    **common,
                )
            case "agreed" | "y_crf" | "y_ret":
                labels = {"agreed": agreed_labels(y_crf, y_ret, ignore), "y_crf": y_crf, "y_ret": y_ret}[settings.loss]
                return partial_cross_entropy(cosine, labels, **common)
            case "entropy":
                return entropy_regularized_loss(cosine, y_crf, y_ret, lam=settings.lam, **common)
            case "bootstrap_soft" | "bootstrap_hard":
                hard = settings.loss == "bootstrap_hard"
                return bootstrapping_loss(cosine, y_crf, y_ret, hard=hard, lam=settings.lam, **common)
            case "filling_rate":
                assert self._filling_rates is not None
                return filling_rate_loss(cosine, y_crf, batch.boxes, self._filling_rates.to(cosine.device), **common)
