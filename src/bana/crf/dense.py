"""The fully connected CRF (Kraehenbuehl and Koltun, 2011) with Potts compatibility, by mean field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bana.crf.compiled import FloatArray, Threads, default_thread_count
from bana.crf.lattice import CHANNEL_COUNTS, MOST_ENTRIES, Lattice, build_lattice
from bana.crf.softmax import update_marginals
from bana.errors import DataError, SettingsError

PROBABILITY_FLOOR = 1e-5
"""Probabilities below it are raised to it before the logarithm, as the field's usual helper does."""

LARGEST_UNARY = 1e30
"""Unaries beyond it, of either sign, are refused: their differences would overflow float32."""

LARGEST_WEIGHT = 1e6
"""Kernel weights above it are refused."""

SMALLEST_SIGMA = 0.15
"""Sigmas below it act like it. Places and colours are integers, so that different ones are then more than six sigmas
apart, which is beyond the reach of the lattice's kernel (and 2e-10 in the Gaussian's)."""

_MOST_PIXELS = MOST_ENTRIES // 6
_CACHED_PIXELS = 2**20  # of a spatial lattice that is kept: 50 MB


class DenseCRF:
    """A fully connected CRF over the pixels of a photograph, with a spatial and a colour-sensitive Gaussian kernel.

    The marginals are those of ``iterations`` parallel mean-field updates

        Q <- softmax(-unary + gaussian_weight * K_g Q + bilateral_weight * K_b Q),   Q_0 = softmax(-unary),

    where each kernel matrix is normalised symmetrically, D^-1/2 K D^-1/2, includes every pixel's own term, and is
    applied through a permutohedral lattice, which approximates the Gaussian to some percent.

    An instance can be called from several threads at once, pickled, and used after a fork. The result has the same
    bits whatever the number of threads. The first call in a fresh installation compiles for some seconds.

    Args:
        gaussian_weight: Weight of the spatial kernel, exp(-|dp|^2 / (2 gaussian_sxy^2)); 0 switches it off.
        gaussian_sxy: Its standard deviation in pixels.
        bilateral_weight: Weight of the kernel exp(-|dp|^2 / (2 bilateral_sxy^2) - |dI|^2 / (2 bilateral_srgb^2)); 0
            switches it off.
        bilateral_sxy: Its standard deviation in pixels.
        bilateral_srgb: Its standard deviation in the image's values, 0..255.
        iterations: Number of updates; 0 gives softmax(-unary).
        threads: Number of threads; None: NUMBA_NUM_THREADS, which is all cores unless the environment says otherwise.

    Raises:
        SettingsError: If an argument is not a number or out of its range.
    """

    def __init__(
        self,
        gaussian_weight: float = 3,
        gaussian_sxy: float = 3,
        bilateral_weight: float = 4,
        bilateral_sxy: float = 55,
        bilateral_srgb: float = 3,
        iterations: int = 10,
        *,
        threads: int | None = None,
    ) -> None:
        self.gaussian_weight = _weight("gaussian_weight", gaussian_weight)
        self.gaussian_sxy = _sigma("gaussian_sxy", gaussian_sxy)
        self.bilateral_weight = _weight("bilateral_weight", bilateral_weight)
        self.bilateral_sxy = _sigma("bilateral_sxy", bilateral_sxy)
        self.bilateral_srgb = _sigma("bilateral_srgb", bilateral_srgb)
        self.iterations = _count("iterations", iterations, least=0)
        self.threads = None if threads is None else _count("threads", threads, least=1)

    def __call__(
        self,
        image: npt.NDArray[np.uint8],
        unary: npt.ArrayLike | None = None,
        probabilities: npt.ArrayLike | None = None,
        fixed: npt.NDArray[np.bool_] | None = None,
    ) -> FloatArray:
        """Marginals of one image; exactly one of ``unary`` and ``probabilities`` is given.

        Args:
            image: uint8 (H, W, 3), RGB.
            unary: (C, H, W), -log of each class's probability, up to a constant per pixel. C >= 1.
            probabilities: (C, H, W) in 0..1. Those below PROBABILITY_FLOOR are raised to it.
            fixed: bool (H, W), True on pixels that keep softmax(-unary): others see them, they never change.

        Returns:
            float32 (C, H, W), sums to 1 over C.

        Raises:
            DataError: If an array has the wrong shape, type or values, or the image is too large.
            SettingsError: If not exactly one of ``unary`` and ``probabilities`` is given, or the sigmas are too small
                for an image of this size.
        """
        image = _checked_image(image)
        height, width = image.shape[:2]
        costs = _checked_unary(unary, probabilities, height, width)
        held = _checked_fixed(fixed, height, width)
        with Threads(self.threads or default_thread_count()) as threads:
            kernels = self._kernels(image, threads) if len(costs) > 1 and self.iterations else []
            marginals = _mean_field(costs, kernels, held, self.iterations, threads)
        return marginals.reshape(-1, height, width)

    def _kernels(self, image: npt.NDArray[np.uint8], threads: Threads) -> list[tuple[float, Lattice]]:
        height, width = image.shape[:2]
        kernels = []
        if self.gaussian_weight:
            build = _spatial_lattice if height * width <= _CACHED_PIXELS else _spatial_lattice.__wrapped__
            kernels.append((self.gaussian_weight, build(height, width, self.gaussian_sxy)))
        if self.bilateral_weight:
            features = _features(height, width, self.bilateral_sxy, image, self.bilateral_srgb)
            kernels.append((self.bilateral_weight, build_lattice(features, threads)))
        return kernels


def _mean_field(
    unary: FloatArray,
    kernels: Sequence[tuple[float, Lattice]],
    fixed: npt.NDArray[np.bool_],
    iterations: int,
    threads: Threads,
) -> FloatArray:
    """Marginals float32 (C, N) for a unary (C, N).

    A softmax ignores what all classes receive alike, so that only differences to class 0 are filtered: C - 1 channels.
    """
    classes, pixels = unary.shape
    channels = min(CHANNEL_COUNTS) if classes <= 2 else max(CHANNEL_COUNTS)
    blocks = math.ceil((classes - 1) / channels)
    messages = np.zeros((blocks, pixels, channels), dtype=np.float32)
    contrasts = np.zeros_like(messages)
    marginals = np.empty_like(unary)
    nowhere = np.zeros_like(fixed)
    threads.over_range(pixels, update_marginals, unary, messages, nowhere, contrasts, marginals, True)
    for iteration in range(iterations if kernels else 0):
        messages[:] = 0
        for weight, lattice in kernels:
            for contrast, message in zip(contrasts, messages, strict=True):
                lattice.add_filtered(contrast, weight, message, threads)
        final = iteration == iterations - 1
        threads.over_range(pixels, update_marginals, unary, messages, fixed, contrasts, marginals, final)
    return marginals


@lru_cache(maxsize=4)
def _spatial_lattice(height: int, width: int, sxy: float) -> Lattice:
    with Threads(1) as threads:
        return build_lattice(_features(height, width, sxy), threads)


def _features(
    height: int, width: int, sxy: float, image: npt.NDArray[np.uint8] | None = None, srgb: float = 1.0
) -> FloatArray:
    """Column, row and colours of every pixel, each divided by its sigma in float32; (2 or 5, H*W)."""
    channels = 0 if image is None else image.shape[2]
    features = np.empty((2 + channels, height, width), dtype=np.float32)
    place, colour = (np.float32(max(sigma, SMALLEST_SIGMA)) for sigma in (sxy, srgb))
    features[0] = np.arange(width, dtype=np.float32) / place
    features[1] = (np.arange(height, dtype=np.float32) / place)[:, None]
    if image is not None:
        np.divide(np.moveaxis(image, 2, 0), colour, out=features[2:], dtype=np.float32)
    return features.reshape(2 + channels, height * width)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(f"{name}: {value!r} is not a number") from error
    if not math.isfinite(number):
        raise SettingsError(f"{name}: {value!r} is not finite; give a finite number")
    return number


def _sigma(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0 < number <= float(np.finfo(np.float32).max):
        raise SettingsError(f"{name}: {value!r} is not allowed; give a number above 0 and below 3.4e38")
    return number


def _weight(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0 <= number <= LARGEST_WEIGHT:
        raise SettingsError(f"{name}: {value!r} is not allowed; give 0 (off) to {LARGEST_WEIGHT:g}")
    return number


def _count(name: str, value: Any, least: int) -> int:
    number = _number(name, value)
    if number != int(number) or number < least:
        raise SettingsError(f"{name}: {value!r} is not allowed; give a whole number of at least {least}")
    return int(number)


def _array(name: str, value: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors on a GPU or with a gradient
        raise DataError(f"{name}: {type(value).__name__} does not become a numpy array; give one") from error


def _checked_image(image: Any) -> npt.NDArray[np.uint8]:
    array = _array("image", image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise DataError(f"image: {array.dtype} {array.shape} is not allowed; give RGB as uint8 (H, W, 3), not empty")
    height, width = array.shape[:2]
    if height * width > _MOST_PIXELS:
        raise DataError(f"image: {width}x{height} is above the {_MOST_PIXELS} pixels allowed; scale it down or tile it")
    return array


def _checked_unary(unary: Any, probabilities: Any, height: int, width: int) -> FloatArray:
    """The unary as float32 (C, N)."""
    if (unary is None) == (probabilities is None):
        raise SettingsError("unary, probabilities: give exactly one of the two")
    name, given = ("unary", unary) if probabilities is None else ("probabilities", probabilities)
    array = _array(name, given)
    if array.dtype.kind not in "fiu" or array.ndim != 3 or array.shape[1:] != (height, width) or not len(array):
        raise DataError(
            f"{name}: {array.dtype} {array.shape} is not allowed; give numbers (C, {height}, {width}), C >= 1"
        )
    low, high = (-LARGEST_UNARY, LARGEST_UNARY) if probabilities is None else (0.0, 1.001)
    smallest, largest = array.min(), array.max()
    if not (low <= smallest and largest <= high):
        raise DataError(
            f"{name}: values from {smallest} to {largest} are not allowed; give {low:g} to {high:.4g}, no NaN"
        )
    values = np.ascontiguousarray(array, dtype=np.float32).reshape(len(array), -1)
    return values if probabilities is None else -np.log(np.maximum(values, np.float32(PROBABILITY_FLOOR)))


def _checked_fixed(fixed: Any, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The mask as bool (N,)."""
    if fixed is None:
        return np.zeros(height * width, dtype=np.bool_)
    array = _array("fixed", fixed)
    if array.dtype != np.bool_ or array.shape != (height, width):
        raise DataError(f"fixed: {array.dtype} {array.shape} is not allowed; give bool ({height}, {width})")
    return np.ascontiguousarray(array).reshape(-1)
