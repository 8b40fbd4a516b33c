"""What each label of each point costs by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from densecrf.arguments import MAX_UNARY, array, checked_unary
from densecrf.compiled import FloatArray
from densecrf.errors import DenseCRFError

_LARGEST = float(np.finfo(np.float32).max)


class Unary:
    """Costs of labels, made by ``ConstUnary`` or ``LogisticUnary``."""

    costs: FloatArray | None = None
    """float32 (nlabels, points)."""


class ConstUnary(Unary):
    """Costs that are given directly.

    Args:
        u: (nlabels, points), -log of each label's probability. Infinite costs are allowed.

    Raises:
        DenseCRFError: If it is not a matrix of numbers.
    """

    def __init__(self, u: npt.ArrayLike) -> None:
        self.costs = checked_costs(u)


class LogisticUnary(Unary):
    """Costs that are linear in features of the points: ``L @ f``.

    Args:
        L: (nlabels, features).
        f: (features, points).

    Raises:
        DenseCRFError: If they are not matrices of numbers that can be multiplied.
    """

    def __init__(self, L: npt.ArrayLike, f: npt.ArrayLike) -> None:
        left, right = matrix_of_numbers("L", L), matrix_of_numbers("f", f)
        if left.shape[1] != len(right):
            raise DenseCRFError(
                f"f: {right.shape} is not allowed for L of {left.shape}; give ({left.shape[1]}, points)"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused with a message
            self.costs = checked_costs(left @ right)


def checked_costs(u: npt.ArrayLike) -> FloatArray:
    """The costs as a new float32 matrix; +inf, the cost of probability 0, becomes the largest cost that there is."""
    given = matrix_of_numbers("unary", u, finite=False)
    return np.array(checked_unary(np.where(given == np.inf, MAX_UNARY, given), None)[0])


def matrix_of_numbers(name: str, value: npt.ArrayLike, *, finite: bool = True) -> npt.NDArray[Any]:
    """The value as a matrix of real numbers, not empty.

    Raises:
        DenseCRFError: If it is none.
    """
    values = array(name, value)
    if values.dtype.kind not in "fiu" or values.ndim != 2 or values.size == 0:
        raise DenseCRFError(
            f"{name}: {values.dtype} {values.shape} is not allowed; give numbers with two axes, not empty"
        )
    if finite and not (values.min() >= -_LARGEST and values.max() <= _LARGEST):  # NaN is not, either
        raise DenseCRFError(f"{name}: NaN, infinite or huge values are not allowed; give numbers that float32 can hold")
    return values
