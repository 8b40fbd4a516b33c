"""Checks of the arrays that users give, and their way in from and back to torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from densecrf.compiled import FloatArray
from densecrf.errors import DenseCRFError

PROBABILITY_FLOOR = 1e-5
"""Probabilities below it are raised to it before the logarithm, as the field's usual helper does."""

MAX_UNARY = 1e30
"""Unaries beyond it, of either sign, are refused: their differences would overflow float32."""

MAX_PIXELS = 2**31 // 9
"""Of one image: the 32-bit indices of a lattice count pixels times vertices around each."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Guide:
    """The image as the kernels see it.

    Attributes:
        grid: Its shape without channels: 1, 2 or 3 sizes.
        values: (*grid, channels) of real numbers; None if there is no image.
    """

    grid: tuple[int, ...]
    values: npt.NDArray[np.generic] | None

    @property
    def pixels(self) -> int:
        """How many there are."""
        return math.prod(self.grid)


def array(name: str, value: Any) -> npt.NDArray[Any]:
    """The value as a numpy array."""
    try:
        return np.asarray(value.detach() if _is_tensor(value) else value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors on another device
        raise DenseCRFError(f"{name}: {type(value).__name__} does not become a numpy array; give one") from error


def checked_guide(image: Any, grid: tuple[int, ...] | None) -> Guide:
    """The image, of one channel if it has no more axes than ``grid`` (default: its first two axes)."""
    if image is None:
        if grid is None:
            raise DenseCRFError("image: None is not allowed here; give an array, which says how many pixels there are")
        return Guide(grid, None)
    values = array("image", image)
    if grid is None:
        grid = values.shape[:2]
    shape = values.shape
    if values.ndim == len(grid):
        values = values[..., None]
    shapes = f"{_shape(grid)} or {_shape((*grid, 'channels'))}"
    kind_is_real = values.dtype.kind in "iuf" and values.dtype.itemsize <= 8
    if values.shape[:-1] != grid or not 1 <= len(grid) <= 3 or not kind_is_real or values.size == 0:
        raise DenseCRFError(
            f"image: {values.dtype} {shape} is not allowed; give numbers {shapes}, not empty, of 1 to 3 axes"
        )
    if math.prod(grid) > MAX_PIXELS:
        size = "x".join(str(length) for length in reversed(grid))
        raise DenseCRFError(
            f"image: {size} is above the {MAX_PIXELS} pixels allowed; use DenseCRF.tiled, or scale it down"
        )
    if values.dtype.kind == "f" and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise DenseCRFError("image: NaN or infinite values are not allowed; give finite numbers")
    return Guide(grid, values)


def checked_unary(unary: Any, probabilities: Any) -> tuple[FloatArray, tuple[int, ...]]:
    """The unary as float32 (C, number of pixels), and the grid."""
    if (unary is None) == (probabilities is None):
        raise DenseCRFError("unary, probabilities: give exactly one of the two")
    name, given = ("unary", unary) if probabilities is None else ("probabilities", probabilities)
    values = array(name, given)
    if values.dtype.kind not in "fiu" or not 2 <= values.ndim <= 4 or values.size == 0:
        raise DenseCRFError(f"{name}: {values.dtype} {values.shape} is not allowed; give numbers (C, H, W), C >= 1")
    low, high = (-MAX_UNARY, MAX_UNARY) if probabilities is None else (0.0, 1.001)
    smallest, largest = values.min(), values.max()
    if not (low <= smallest and largest <= high):
        raise DenseCRFError(
            f"{name}: values from {smallest} to {largest} are not allowed; give {low:g} to {high:.4g}, no NaN"
        )
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(len(values), -1)
    costs = flat if probabilities is None else -np.log(np.maximum(flat, np.float32(PROBABILITY_FLOOR)))
    return costs, values.shape[1:]


def checked_mask(name: str, mask: Any, grid: tuple[int, ...]) -> BoolArray | None:
    """The mask as bool (number of pixels,), or None if nothing is set."""
    if mask is None:
        return None
    values = array(name, mask)
    if values.dtype != np.bool_ or values.shape != grid:
        raise DenseCRFError(f"{name}: {values.dtype} {values.shape} is not allowed; give bool {_shape(grid)}")
    return np.ascontiguousarray(values).reshape(-1) if values.any() else None


def like(given: Any, result: FloatArray) -> Any:
    """The result as a torch tensor if ``given`` is one."""
    if not _is_tensor(given):
        return result
    import torch

    return torch.from_numpy(result)


def on_gpu(*given: Any) -> bool:
    """Whether one of the arguments is a tensor of a GPU."""
    return any(_is_tensor(value) and value.is_cuda for value in given)


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"  # without importing torch


def _shape(sizes: tuple[Any, ...]) -> str:
    return "(" + ", ".join(str(size) for size in sizes) + ("," if len(sizes) == 1 else "") + ")"
