"""The helpers of ``pydensecrf.utils``: unaries from labels and probabilities, features for ``addPairwiseEnergy``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from densecrf.arguments import array
from densecrf.compiled import FloatArray
from densecrf.errors import DenseCRFError
from densecrf.numbers import count, number_in, numbers_in

_LARGEST = float(np.finfo(np.float32).max)


def unary_from_labels(labels: npt.ArrayLike, n_labels: int, gt_prob: float, zero_unsure: bool = True) -> FloatArray:
    """Compute the costs of labels, each of which is right with the same probability.

    Args:
        labels: Whole numbers, any shape.
        n_labels: Number of labels, not counting the 0 for unsure.
        gt_prob: Probability that a label is right; the others share the rest.
        zero_unsure: If True, 0 is unsure and label c > 0 is row c - 1. If False, label c is row c.

    Returns:
        float32 (n_labels, points).

    Raises:
        DenseCRFError: If the labels are no whole numbers, or out of range.
        DenseCRFError: If another argument is out of its range.
    """
    number = count("n_labels", n_labels, 2)
    right = number_in("gt_prob", gt_prob, 0, 1, "above 0")
    if right == 1:
        raise DenseCRFError(f"gt_prob: {gt_prob!r} is not allowed; give a number above 0 and below 1")
    values = array("labels", labels).reshape(-1)
    top = number if zero_unsure else number - 1
    if values.dtype.kind not in "iu" or values.size == 0:
        raise DenseCRFError(f"labels: {values.dtype} {values.shape} is not allowed; give whole numbers, not empty")
    if values.min() < 0 or values.max() > top:
        raise DenseCRFError(f"labels: {values.min()} to {values.max()} is not allowed; give 0 to {top}")
    rows = np.arange(number)[:, None] == values.astype(np.int64) - (1 if zero_unsure else 0)
    costs = np.where(rows, -math.log(right), -math.log((1 - right) / (number - 1)))
    if zero_unsure:
        costs[:, values == 0] = math.log(number)
    return costs.astype(np.float32)


def unary_from_softmax(sm: npt.ArrayLike, scale: float | None = None, clip: float | None = 1e-5) -> FloatArray:
    """Compute the costs of probabilities, -log of each.

    Args:
        sm: Probabilities (n_labels, *any shape).
        scale: Trust in them, above 0 to 1: they become ``scale * sm + (1 - scale) / n_labels`` (default: 1).
        clip: Minimum probability; the maximum is 1. With None nothing is clipped, and probability 0 costs infinity.

    Returns:
        float32 (n_labels, points).

    Raises:
        DenseCRFError: If ``sm`` is not numbers, has NaN, or has negative numbers that are not clipped.
        DenseCRFError: If another argument is out of its range.
    """
    values = array("sm", sm)
    if values.dtype.kind not in "fiu" or values.ndim == 0 or values.size == 0:
        raise DenseCRFError(
            f"sm: {values.dtype} {values.shape} is not allowed; give numbers (n_labels, ...), not empty"
        )
    if np.isnan(values).any() or (not clip and values.min() < 0):
        raise DenseCRFError(f"sm: values from {values.min()} to {values.max()} are not allowed; give 0 to 1, no NaN")
    if scale is not None:
        believed = number_in("scale", scale, 0, 1, "above 0")
        values = believed * values + (1 - believed) / len(values)
    if clip:
        values = np.clip(values, number_in("clip", clip, 0, 1, "above 0"), 1.0)
    with np.errstate(divide="ignore"):
        costs: FloatArray = -np.log(values).reshape(len(values), -1).astype(np.float32)
    return costs


def compute_unary(labels: npt.ArrayLike, M: int, GT_PROB: float = 0.5) -> FloatArray:
    """Call ``unary_from_labels`` with 0 for unsure, under its older name (deprecated)."""
    warnings.warn("compute_unary is deprecated; use unary_from_labels", DeprecationWarning, stacklevel=2)
    return unary_from_labels(labels, M, GT_PROB)


def softmax_to_unary(sm: npt.ArrayLike, GT_PROB: float = 1) -> FloatArray:
    """Call ``unary_from_softmax`` without ``clip``, under its older name (deprecated); ``GT_PROB`` is ``scale``."""
    warnings.warn("softmax_to_unary is deprecated; use unary_from_softmax", DeprecationWarning, stacklevel=2)
    return unary_from_softmax(sm, scale=None if GT_PROB == 1 else GT_PROB, clip=None)


def create_pairwise_gaussian(sdims: Sequence[float], shape: Sequence[int]) -> FloatArray:
    """Compute the places in a grid, divided by their standard deviations.

    Args:
        sdims: One standard deviation per axis, in the order of ``shape``: for (height, width), y comes first.
        shape: Shape of the grid, with any number of axes.

    Returns:
        float32 (axes, points), the first axis first.

    Raises:
        DenseCRFError: If an argument is out of its range, or their lengths differ.
    """
    sizes = [count(f"shape[{i}]", size, 1) for i, size in enumerate(shape)]
    sigmas = _one_for_each("sdims", sdims, len(sizes))
    lines = [np.arange(size, dtype=np.float32) / np.float32(s) for size, s in zip(sizes, sigmas, strict=True)]
    return np.stack(np.meshgrid(*lines, indexing="ij")).reshape(len(sizes), -1)


def create_pairwise_bilateral(
    sdims: Sequence[float], schan: float | Sequence[float], img: npt.ArrayLike, chdim: int = -1
) -> FloatArray:
    """Compute the places in an image and its values, divided by their standard deviations.

    Args:
        sdims: One standard deviation per axis of the image, without the channels' axis.
        schan: Standard deviation in the image's values: one number, or one per channel.
        img: Numbers, with any number of axes.
        chdim: The axis of the channels (default: -1, no such axis and one channel).

    Returns:
        float32 (axes + channels, points).

    Raises:
        DenseCRFError: If the image has values that are not finite numbers, or no such axis.
        DenseCRFError: If another argument is out of its range, or lengths differ.
    """
    image = array("img", img)
    if image.dtype.kind not in "fiu" or image.size == 0 or not np.isfinite(image).all():
        raise DenseCRFError(f"img: {image.dtype} {image.shape} is not allowed; give finite numbers, not empty")
    axis = chdim if chdim == -1 else count("chdim", chdim, 0)
    if axis >= image.ndim or image.ndim < (1 if axis == -1 else 2):
        raise DenseCRFError(
            f"img: {image.shape} is not allowed with chdim {chdim}; give an image with that axis and others"
        )
    channels = image[None] if axis == -1 else np.moveaxis(image, axis, 0)
    places = create_pairwise_gaussian(sdims, channels.shape[1:])
    spread = [schan] * len(channels) if np.ndim(schan) == 0 else schan
    sigmas = np.array(_one_for_each("schan", spread, len(channels)))
    colors = channels.reshape(len(channels), -1) / sigmas[:, None]
    return np.concatenate([places, colors.astype(np.float32)])


def _one_for_each(name: str, value: Any, number: int) -> list[float]:
    sigmas = numbers_in(name, value, 0, _LARGEST, "above 0")
    if np.ndim(value) != 1 or len(sigmas) != number:
        raise DenseCRFError(f"{name}: {value!r} is not allowed; give {number}")
    return sigmas
