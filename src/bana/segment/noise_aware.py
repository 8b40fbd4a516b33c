"""The part of the losses that is as large as the cosines: image by image, with one tensor for the gradient.

A loss on S and ~S in plain torch copies the cosines at every step of the formula. It also adds up two gradients of full
size. But the formulas need only a few numbers per pixel. This module computes them without the copies. In the backward
pass, all of their gradients go into the same tensor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class LabelTerms(NamedTuple):
    """What a loss needs to know of each pixel's label, in float32, or float64 if the cosines are."""

    log_h: Tensor
    """(N, H, W), log softmax(temperature * cosine) of the label."""
    of_label: Tensor
    """(M,), the label's cosine at the chosen places."""
    of_best: Tensor
    """(M,), the best class's cosine there."""


def label_terms(cosine: Tensor, labels: Tensor, places: Tensor, *, temperature: float) -> LabelTerms:
    """The terms of Eq. 10 to 13 that depend on the cosines, with a gradient in the type of the cosines.

    Args:
        cosine: (N, C, H, W), any floating type and memory layout.
        labels: (N, H, W) int64 in 0..C-1.
        places: (M, 3) int64: image, row and column of the pixels whose cosines are wanted, none of them twice.
        temperature: factor on the cosines before the softmax.
    """
    return LabelTerms(*_uncompiled(cosine, labels, places, temperature))


def working_type(cosine: Tensor) -> torch.dtype:
    """The type to compute in: half precision is too coarse for sums over millions of pixels."""
    return torch.promote_types(cosine.dtype, torch.float32)


class _LabelTerms(torch.autograd.Function):
    """Computes the softmax a second time on the way back, which is cheaper than keeping it."""

    @staticmethod
    def forward(
        ctx: Any, cosine: Tensor, labels: Tensor, places: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        labels = labels.unsqueeze(1)
        best, total = _partition(cosine, temperature)
        log_h = (cosine.gather(1, labels).to(total.dtype) - best) * temperature - total.log()
        image, row, column = places.unbind(1)
        rows = cosine[image, :, row, column]
        of_best, winner = rows.max(1)
        of_label = rows.gather(1, labels[image, :, row, column]).squeeze(1)
        ctx.save_for_backward(cosine, labels, places, winner, best, total)
        ctx.temperature = temperature
        return log_h.squeeze(1), of_label.to(total.dtype), of_best.to(total.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_log_h: Tensor, by_label: Tensor, by_best: Tensor) -> tuple[Tensor | None, ...]:
        cosine, labels, places, winner, best, total = ctx.saved_tensors
        slope = (by_log_h * ctx.temperature).unsqueeze(1)
        gradient = torch.empty_like(cosine)
        scratch = None if gradient.dtype == total.dtype else torch.empty_like(gradient[0], dtype=total.dtype)
        images = (whole.unbind() for whole in (gradient, cosine, labels, slope, best, total))
        for target, values, label, weight, top, partition in zip(*images, strict=True):
            exact = target if scratch is None else scratch
            _exponentials(values, top, ctx.temperature, out=exact).mul_(-weight / partition)
            exact.scatter_add_(0, label, weight)
            if scratch is not None:
                target.copy_(scratch)
        image, row, column = places.unbind(1)
        label = labels[image, 0, row, column]
        same = winner == label  # there the two nearly cancel: added one by one they would leave half precision's noise
        gradient[image, label, row, column] += (by_label + by_best.where(same, 0)).to(gradient.dtype)
        gradient[image, winner, row, column] += by_best.where(~same, 0).to(gradient.dtype)
        return gradient, None, None, None


# A compiler would unroll the loops over images, and turn what is written in place into copies of full size.
_uncompiled = torch.compiler.disable(_LabelTerms.apply)  # type: ignore[no-untyped-call]


def _partition(cosine: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The best cosine of every pixel and the softmax's denominator relative to it, both (N, 1, H, W)."""
    best = cosine.amax(1, keepdim=True)
    scratch = torch.empty_like(cosine[0], dtype=working_type(cosine))
    total = torch.empty_like(best, dtype=scratch.dtype)
    for values, top, out in zip(cosine.unbind(), best.unbind(), total.unbind(), strict=True):
        torch.sum(_exponentials(values, top, temperature, out=scratch), 0, keepdim=True, out=out)
    return best, total


def _exponentials(values: Tensor, top: Tensor, temperature: float, *, out: Tensor) -> Tensor:
    """exp(temperature * (values - top)) in the type of ``out``."""
    return torch.sub(values.to(out.dtype), top.to(out.dtype), out=out).mul_(temperature).exp_()
