"""Pairwise kernels of a CRF: how strongly two pixels want labels that go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from densecrf.compiled import FloatArray
from densecrf.errors import DenseCRFError
from densecrf.lattice import Normalization
from densecrf.numbers import number_in, numbers_in

MAX_WEIGHT = 1e6
"""Kernel weights above it are refused."""

SMALLEST_SIGMA = 0.15
"""Sigmas of whole numbers (places, and the values of integer images) below it act like it: different ones are then more
than six sigmas apart, which is beyond the reach of the lattice's kernel (and 2e-10 in the Gaussian's)."""

_MAX_SIGMA = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Kernel:
    """A Gaussian kernel between all pairs of pixels, exp(-|dp|^2 / (2 sxy^2) - |dI|^2 / (2 srgb^2)).

    dp is the difference of two pixels' places, dI that of their values. The energy of a pair with labels a and b is
    ``weight * compatibility[a, b]`` times the normalized kernel.

    Attributes:
        weight: 0 to MAX_WEIGHT; 0 switches the kernel off.
        sxy: Standard deviation in pixels: one number, or one per axis in the order of the image's axes.
        srgb: Standard deviation in the image's values: one number, or one per channel (default: None, only places
            count).
        compatibility: Symmetric (C, C), what two labels cost; or (C,), what equal labels gain (default: Potts, 1 for
            different labels and 0 for equal ones).
        normalization: How the kernel matrix K is normalized. D is the diagonal matrix of its row sums. ``symmetric`` is
            D^-1/2 K D^-1/2, ``before`` K D^-1, ``after`` D^-1 K, and ``none`` K itself. ``none`` sums over many pixels
            and needs a small weight.

    Raises:
        DenseCRFError: If a value is not a number or out of its range.
    """

    weight: float
    sxy: float | Sequence[float]
    srgb: float | Sequence[float] | None = None
    compatibility: npt.ArrayLike | None = None
    normalization: Normalization = "symmetric"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", number_in("weight", self.weight, 0, MAX_WEIGHT, "0 (off)"))
        for name in ("sxy", "srgb"):
            value = getattr(self, name)
            if value is not None or name == "sxy":
                checked = sigmas(name, value)
                object.__setattr__(self, name, tuple(checked.tolist()) if np.ndim(value) else float(value))
        if self.normalization not in get_args(Normalization):
            allowed = ", ".join(get_args(Normalization))
            raise DenseCRFError(f"normalization: {self.normalization!r} is not allowed; give one of {allowed}")
        self.matrix()

    def matrix(self) -> FloatArray | None:
        """Compute the compatibility times the weight, float32 (C, C); None for Potts.

        Raises:
            DenseCRFError: If it is not square and symmetric, or not finite.
        """
        if self.compatibility is None:
            return None
        try:
            given = np.asarray(self.compatibility, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DenseCRFError(f"compatibility: {self.compatibility!r} is not a matrix of numbers") from error
        matrix = -np.diag(given) if given.ndim == 1 else given
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise DenseCRFError(f"compatibility: shape {given.shape} is not allowed; give (C, C) or a diagonal (C,)")
        if not np.array_equal(matrix, matrix.T) or not (np.abs(matrix) <= MAX_WEIGHT).all():
            raise DenseCRFError(
                f"compatibility: {given.tolist()} is not allowed; give a symmetric matrix of -{MAX_WEIGHT:g} to "
                f"{MAX_WEIGHT:g}"
            )
        return (matrix * self.weight).astype(np.float32)

    def features(
        self, grid: tuple[int, ...], image: npt.NDArray[np.generic] | None, origin: tuple[int, ...] | None = None
    ) -> FloatArray:
        """Compute every pixel's place, last axis first, and values, each divided by its sigma in float32.

        Args:
            grid: Shape of the image without channels.
            image: (*grid, channels); None if there is none.
            origin: Place of the first pixel, such as that of a tile in a larger image (default: zeros).

        Returns:
            float32 (len(grid) + channels, number of pixels), or without channels if ``srgb`` is None.

        Raises:
            DenseCRFError: If there is another number of sigmas than of axes or channels.
            DenseCRFError: If the kernel looks at an image and there is none.
        """
        if self.srgb is not None and image is None:
            raise DenseCRFError("image: None is not allowed for a kernel with srgb; give the image")
        places = np.maximum(sigmas("sxy", self.sxy, len(grid)), np.float32(SMALLEST_SIGMA))
        channels = 0 if self.srgb is None or image is None else image.shape[-1]
        features = np.empty((len(grid) + channels, *grid), dtype=np.float32)
        for axis, size in enumerate(grid):
            first = origin[axis] if origin else 0
            line = np.arange(first, first + size).astype(np.float32) / places[axis]
            features[len(grid) - 1 - axis] = line.reshape(-1, *[1] * (len(grid) - 1 - axis))
        if channels and image is not None and self.srgb is not None:
            values = sigmas("srgb", self.srgb, channels)
            if image.dtype.kind in "iu":
                values = np.maximum(values, np.float32(SMALLEST_SIGMA))
            with np.errstate(over="ignore"):  # what comes to infinity is refused when its vertices are looked for
                for channel, sigma in enumerate(values):
                    out = features[len(grid) + channel]
                    if image.dtype.itemsize <= 2 or image.dtype == np.float32:
                        np.divide(image[..., channel], sigma, out=out, dtype=np.float32)
                    else:
                        out[:] = image[..., channel].astype(np.float64) / float(sigma)
        return features.reshape(len(features), -1)


def sigmas(name: str, value: float | Sequence[float], count: int | None = None) -> FloatArray:
    """Standard deviations as float32; ``count`` of them if a number is given."""
    numbers = numbers_in(name, value, 0, _MAX_SIGMA, "above 0")
    if count is not None and len(numbers) not in (1, count):
        raise DenseCRFError(f"{name}: {value!r} is not allowed; give one number or {count}")
    return np.broadcast_to(np.array(numbers, dtype=np.float32), count or len(numbers))
