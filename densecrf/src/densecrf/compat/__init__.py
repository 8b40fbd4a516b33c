"""pydensecrf's names: ``import densecrf.compat as dcrf``.

It has the names of ``pydensecrf.densecrf`` and ``pydensecrf.utils``; ``densecrf.compat.utils`` has the latter too.
Energies, kernels and updates are the original's. Where the original has classes of its own for
matrices, these are plain numpy arrays. Every error is a ``DenseCRFError``, which is a ``ValueError``.
"""

from densecrf.compat import utils
from densecrf.compat.crf import DenseCRF, DenseCRF2D
from densecrf.compat.pairwise import KernelType, NormalizationType
from densecrf.compat.unary import ConstUnary, LogisticUnary, Unary
from densecrf.compat.utils import (
    compute_unary,
    create_pairwise_bilateral,
    create_pairwise_gaussian,
    softmax_to_unary,
    unary_from_labels,
    unary_from_softmax,
)

CONST_KERNEL = KernelType.CONST_KERNEL
DIAG_KERNEL = KernelType.DIAG_KERNEL
FULL_KERNEL = KernelType.FULL_KERNEL

NO_NORMALIZATION = NormalizationType.NO_NORMALIZATION
NORMALIZE_BEFORE = NormalizationType.NORMALIZE_BEFORE
NORMALIZE_AFTER = NormalizationType.NORMALIZE_AFTER
NORMALIZE_SYMMETRIC = NormalizationType.NORMALIZE_SYMMETRIC

__all__ = [
    "CONST_KERNEL",
    "DIAG_KERNEL",
    "FULL_KERNEL",
    "NORMALIZE_AFTER",
    "NORMALIZE_BEFORE",
    "NORMALIZE_SYMMETRIC",
    "NO_NORMALIZATION",
    "ConstUnary",
    "DenseCRF",
    "DenseCRF2D",
    "KernelType",
    "LogisticUnary",
    "NormalizationType",
    "Unary",
    "compute_unary",
    "create_pairwise_bilateral",
    "create_pairwise_gaussian",
    "softmax_to_unary",
    "unary_from_labels",
    "unary_from_softmax",
    "utils",
]


def __getattr__(name: str) -> object:
    if name == "eigen":
        raise NotImplementedError("densecrf.compat.eigen: is not offered; give and take numpy arrays instead")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
