"""Losses on pixel labels that contain noise (paper 3.3, Eq. 10 to 14; Table 3).

Two maps label the same pixels. S is where they agree, ~S where they differ; a pixel that either of them ignores is in
neither. The losses share Eq. 10 on S and differ in what they make of ~S. H is softmax(temperature * cosine).

All of them take cosines (N, C, H, W) in [-1, 1] between features and classifier weights, at the resolution of the
labels (upsample them first), and labels (N, H, W) int64 in 0..C-1 or ``ignore_index``. They compute in float32, or in
float64 if the cosines are, and return a scalar of that type; the gradient has the type of the cosines. Without a
pixel to count a term is 0, and so is its gradient.

``temperature`` is the factor on the cosines, ``lam`` the weight of ~S, ``ignore_index`` the label of pixels that do not
count. Where processes share a batch, ``all_reduce`` sums over all of them what a mean is divided by. The loss is then
this process's share: those of all processes add up to the loss of the whole batch.

On a GPU a loss with ~S waits for the device once, to learn how many pixels that has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from bana.errors import SettingsError
from bana.segment.arguments import check_labels, check_numbers, check_pair
from bana.segment.noise_aware import label_terms, working_type

AllReduce = Callable[[Tensor], Tensor]
"""Sums a number over the processes that share a batch."""

MeanOver = Literal["region", "pixel"]

_MIN_TOTAL = 1e-30
"""Stands for a sum of confidences that is 0; a surprise divided by it still fits in float32."""


def single_process(number: Tensor) -> Tensor:
    """The sum where one process has the whole batch."""
    return number


def confidence_map(cosine: Tensor, labels: Tensor, *, gamma: float = 7.0, ignore_index: int = 255) -> Tensor:
    """How likely each label is to be correct (Eq. 11 and 12): (D_c* / max_c D_c) ** gamma with D_c = 1 + cosine_c.

    Args:
        cosine: (N, C, H, W) in [-1, 1].
        labels: (N, H, W) int64, c*.
        gamma: damping, at least 1; the greater it is, the nearer to 0 is a class that is not the best one.
        ignore_index: label of the pixels that do not count.

    Returns:
        (N, H, W) in [0, 1]: 1 where c* is the best class, 0 on ignored pixels.

    Raises:
        SettingsError: shapes or types do not fit, or gamma is below 1.
    """
    check_labels(cosine, labels=labels)
    check_numbers(gamma=gamma)
    counted = labels != ignore_index
    of_label = cosine.gather(1, labels.where(counted, 0).unsqueeze(1)).squeeze(1)
    return _confidence(of_label, cosine.amax(1), gamma).where(counted, 0)


def agreed_labels(y_crf: Tensor, y_ret: Tensor, ignore_index: int = 255) -> Tensor:
    """The labels of S: where two maps (N, H, W) agree their label, elsewhere ``ignore_index``.

    Raises:
        SettingsError: the maps differ in shape.
    """
    check_pair(y_crf, y_ret)
    return y_crf.where(y_crf == y_ret, ignore_index)


def differing(y_crf: Tensor, y_ret: Tensor, ignore_index: int = 255) -> Tensor:
    """Where ~S is, bool (N, H, W): two maps differ and neither ignores the pixel.

    Raises:
        SettingsError: the maps differ in shape.
    """
    check_pair(y_crf, y_ret)
    return (y_crf != y_ret) & (y_crf != ignore_index) & (y_ret != ignore_index)


def partial_cross_entropy(
    cosine: Tensor,
    labels: Tensor,
    *,
    temperature: float = 20.0,
    ignore_index: int = 255,
    class_weight: Tensor | None = None,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Mean of -log H_label over the labeled pixels (Eq. 10).

    With ``agreed_labels`` this is the baseline of Table 3, which ignores ~S. ``class_weight`` (C,) makes it a weighted
    mean: the weight of a pixel is that of its label's class.

    Raises:
        SettingsError: shapes or types do not fit, or the temperature is not positive.
    """
    check_labels(cosine, labels=labels)
    check_numbers(temperature)
    log_h, counted = log_softmax_of(cosine, labels, temperature, ignore_index), labels != ignore_index
    if class_weight is None:
        return _mean_surprise(log_h, counted, all_reduce)
    weights = class_weight.to(log_h)[labels.where(counted, 0)].where(counted, 0)
    return -(weights * log_h).sum() / all_reduce(weights.sum()).clamp(min=_MIN_TOTAL)


def noise_aware_loss(
    cosine: Tensor,
    y_crf: Tensor,
    y_ret: Tensor,
    *,
    temperature: float = 20.0,
    gamma: float = 7.0,
    lam: float = 0.1,
    ignore_index: int = 255,
    detach_confidence: bool = False,
    mean_over: MeanOver = "region",
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """NAL (Eq. 14): Eq. 10 on S, plus lam times the mean of -log H_c* on ~S, weighted by confidence (Eq. 11 to 13).

    Args:
        cosine: (N, C, H, W) in [-1, 1].
        y_crf: (N, H, W) int64, also c* on ~S.
        y_ret: (N, H, W) int64.
        temperature: factor on the cosines before the softmax.
        gamma: damping of the confidence, at least 1.
        lam: weight of ~S.
        ignore_index: label of the pixels that do not count.
        detach_confidence: take the confidence as a constant; else it has a gradient of its own.
        mean_over: ``region`` takes a mean over S and one over ~S, as Eq. 14 does; a pixel of a small ~S then counts for
            more than lam. ``pixel`` takes one weighted mean of all: weight 1 on S, lam times the confidence on ~S.
        all_reduce: sums a number over the processes that share the batch.

    Raises:
        SettingsError: shapes or types do not fit, or a number is out of range.
    """
    check_labels(cosine, y_crf=y_crf, y_ret=y_ret)
    check_numbers(temperature, gamma=gamma, lam=lam)
    places = differing(y_crf, y_ret, ignore_index).nonzero()
    target = y_crf.where(y_crf != ignore_index, 0)
    log_h, of_target, of_best = label_terms(cosine, target, places, temperature=temperature)
    confidence = _confidence(of_target, of_best, gamma)
    if detach_confidence:
        confidence = confidence.detach()
    surprise = -log_h[places.unbind(1)]
    agreed = agreed_labels(y_crf, y_ret, ignore_index) != ignore_index
    if mean_over == "pixel":
        weights = all_reduce(agreed.sum() + lam * confidence.sum()).clamp(min=_MIN_TOTAL)
        return (lam * (confidence * surprise).sum() - log_h.where(agreed, 0).sum()) / weights
    on_differing = (confidence * surprise).sum() / all_reduce(confidence.sum()).clamp(min=_MIN_TOTAL)
    return _mean_surprise(log_h, agreed, all_reduce) + lam * on_differing


def entropy_regularized_loss(
    cosine: Tensor,
    y_crf: Tensor,
    y_ret: Tensor,
    *,
    temperature: float = 20.0,
    lam: float = 0.1,
    ignore_index: int = 255,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Eq. 10 on S, plus lam times the mean entropy of the prediction, -sum_c H_c log H_c, on ~S.

    Grandvalet and Bengio, "Semi-supervised learning by entropy minimization", 2005; a row of Table 3.

    Raises:
        SettingsError: shapes or types do not fit, or a number is out of range.
    """
    on_agreed, log_h, _ = _split(cosine, y_crf, y_ret, temperature, lam, ignore_index, all_reduce)
    return on_agreed + lam * _mean(_entropy(log_h), all_reduce)


def bootstrapping_loss(
    cosine: Tensor,
    y_crf: Tensor,
    y_ret: Tensor,
    *,
    hard: bool,
    beta: float | None = None,
    temperature: float = 20.0,
    lam: float = 0.1,
    ignore_index: int = 255,
    all_reduce: AllReduce = single_process,
) -> Tensor:
    """Eq. 10 on S, plus lam times the mean cross-entropy to beta * Y_crf + (1 - beta) * prediction on ~S.

    The prediction is H itself, through which gradients flow (soft), or one-hot at its best class (hard). Reed et al.,
    "Training deep neural networks on noisy labels with bootstrapping", 2015, Eq. 6 and 7; a row of Table 3.

    ``beta`` is the trust in the label, 0 to 1 (default: Reed's 0.8 for hard, 0.95 for soft).

    Raises:
        SettingsError: shapes or types do not fit, or a number is out of range.
    """
    beta = (0.8 if hard else 0.95) if beta is None else beta
    if not 0 <= beta <= 1:
        raise SettingsError(f"beta is {beta:g}: it must be from 0 to 1")
    on_agreed, log_h, target = _split(cosine, y_crf, y_ret, temperature, lam, ignore_index, all_reduce)
    from_label = F.nll_loss(log_h, target, reduction="none")
    from_prediction = -log_h.max(1).values if hard else _entropy(log_h)
    return on_agreed + lam * _mean(beta * from_label + (1 - beta) * from_prediction, all_reduce)


def _split(
    cosine: Tensor,
    y_crf: Tensor,
    y_ret: Tensor,
    temperature: float,
    lam: float,
    ignore_index: int,
    all_reduce: AllReduce,
) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 10 on S, and of the pixels of ~S log H (M, C) and Y_crf (M,)."""
    check_labels(cosine, y_crf=y_crf, y_ret=y_ret)
    check_numbers(temperature, lam=lam)
    image, row, column = places = differing(y_crf, y_ret, ignore_index).nonzero(as_tuple=True)
    rows = cosine[image, :, row, column].to(working_type(cosine))
    agreed = agreed_labels(y_crf, y_ret, ignore_index)
    on_agreed = partial_cross_entropy(
        cosine, agreed, temperature=temperature, ignore_index=ignore_index, all_reduce=all_reduce
    )
    return on_agreed, F.log_softmax(temperature * rows, 1), y_crf[places]


def log_softmax_of(cosine: Tensor, labels: Tensor, temperature: float, ignore_index: int) -> Tensor:
    """Log H of every pixel's label (N, H, W), of any class where it is ignored."""
    nowhere = labels.new_empty(0, labels.dim())
    return label_terms(cosine, labels.where(labels != ignore_index, 0), nowhere, temperature=temperature).log_h


def _mean_surprise(log_h: Tensor, counted: Tensor, all_reduce: AllReduce) -> Tensor:
    """Mean of -log H (N, H, W) over the pixels that count, 0 if there is none."""
    return -log_h.where(counted, 0).sum() / all_reduce(counted.sum()).clamp(min=1)


def _confidence(of_label: Tensor, of_best: Tensor, gamma: float) -> Tensor:
    """Eq. 12, given the cosines of c* and of the best class."""
    exact = working_type(of_label)
    least = torch.finfo(exact).eps  # rounding takes a cosine below -1, and 0 / 0 and 0 ** (gamma - 1) have no gradient
    distances = ((1 + cosine.to(exact)).clamp(min=least) for cosine in (of_label, of_best))
    return torch.div(*distances).pow(gamma)


def _entropy(log_h: Tensor) -> Tensor:
    """Entropy of each row of log-probabilities (M, C)."""
    return -(log_h.exp() * log_h).sum(1)


def _mean(values: Tensor, all_reduce: AllReduce) -> Tensor:
    """Mean of (M,), 0 if M is 0."""
    return values.sum() / all_reduce(values.new_tensor(len(values))).clamp(min=1)
