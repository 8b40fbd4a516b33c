"""What pairs of points cost: the options of ``addPairwise...``, as terms of a lattice and matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from densecrf.compiled import FloatArray
from densecrf.errors import DenseCRFError
from densecrf.kernel import MAX_WEIGHT
from densecrf.lattice import Lattice, Normalization, Term, build_lattice
from densecrf.workspace import Workspace


class KernelType(IntEnum):
    """The number of parameters that a kernel has for learning. In inference all are the same."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """How a kernel matrix K is normalized, with the diagonal matrix D of its row sums."""

    NO_NORMALIZATION = 0
    """K as it is."""
    NORMALIZE_BEFORE = 1
    """K D^-1."""
    NORMALIZE_AFTER = 2
    """D^-1 K."""
    NORMALIZE_SYMMETRIC = 3
    """D^-1/2 K D^-1/2."""


_NAMES: dict[NormalizationType, Normalization] = {
    NormalizationType.NO_NORMALIZATION: "none",
    NormalizationType.NORMALIZE_BEFORE: "before",
    NormalizationType.NORMALIZE_AFTER: "after",
    NormalizationType.NORMALIZE_SYMMETRIC: "symmetric",
}


Choice = TypeVar("Choice", bound=IntEnum)


@dataclass(frozen=True, eq=False)
class Pairwise:
    """One kernel with its compatibility.

    Attributes:
        features: float32 (d, N), already divided by their standard deviations.
        weight: What equal labels gain; None if ``matrix`` says more.
        matrix: float32 (nlabels, nlabels), symmetric: what labels a and b of a pair cost; None if ``weight`` says it.
        normalization: The kernel's normalization.
    """

    features: FloatArray
    weight: float | None
    matrix: FloatArray | None
    normalization: NormalizationType

    def term(self) -> Term:
        """The kernel as a term of a lattice, times ``weight`` if it has one."""
        return Term(1.0 if self.weight is None else self.weight, _NAMES[self.normalization], self.features)


def couplings(pairwise: Sequence[Pairwise], labels: int, work: Workspace) -> list[tuple[Lattice, FloatArray]]:
    """Lattices with the matrices that their messages are multiplied by; all kernels with a weight are one lattice.

    The matrix of weights is -1 on its diagonal, not Potts' 1 beside it: the updates are the same, and the energy is
    what the original counts.
    """
    potts = [pair.term() for pair in pairwise if pair.weight is not None and pair.weight > 0]
    result = [(build_lattice(potts, work), -np.eye(labels, dtype=np.float32))] if potts else []
    others = [(pair, pair.matrix) for pair in pairwise if pair.matrix is not None]
    return result + [(build_lattice([pair.term()], work), matrix) for pair, matrix in others]


def compatibility(compat: npt.ArrayLike, labels: int) -> tuple[float | None, FloatArray | None]:
    """Weight or matrix of a ``compat``.

    Args:
        compat: A number is what equal labels gain, (labels,) what equal labels cost, and (labels, labels) what two
            labels cost. Of a matrix, only the symmetric part counts.
        labels: Number of labels.

    Raises:
        DenseCRFError: If it is something else.
    """
    allowed = f"a number, ({labels},) or ({labels}, {labels}), from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}"
    try:
        values = np.asarray(compat, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DenseCRFError(f"compat: {type(compat).__name__} is not allowed; give {allowed}") from error
    if values.shape not in ((), (labels,), (labels, labels)):
        raise DenseCRFError(f"compat: shape {values.shape} is not allowed; give {allowed}")
    if not (np.abs(values) <= MAX_WEIGHT).all():
        raise DenseCRFError(f"compat: {values.tolist()} is not allowed; give {allowed}")
    if values.ndim == 0 and values >= 0:
        return float(values), None
    if values.ndim < 2:
        values = np.diag(np.broadcast_to(values if values.ndim else -values, labels))
    return None, ((values + values.T) / 2).astype(np.float32)


def choice(name: str, value: Any, kinds: type[Choice]) -> Choice:
    """The value as one of the constants.

    Raises:
        DenseCRFError: If it is none of them, nor its number.
    """
    try:
        return kinds(value)
    except ValueError as error:
        allowed = ", ".join(kind.name for kind in kinds)
        raise DenseCRFError(f"{name}: {value!r} is not allowed; give one of {allowed}") from error
