"""The names of ``pydensecrf.densecrf`` on top of ``densecrf``: ``import densecrf.compat as dcrf``.

What ``pydensecrf.utils`` holds is in ``densecrf.compat.utils``. Energies, kernels and updates are the original's;
``docs/migration.md`` has the differences. Matrices that the original wraps in classes of its own are plain numpy arrays
here, and everything wrong ends in a ``DenseCRFError``.
"""

from densecrf.compat import utils
from densecrf.compat.crf import DenseCRF, DenseCRF2D
from densecrf.compat.pairwise import KernelType, NormalizationType
from densecrf.compat.unary import ConstUnary, LogisticUnary, Unary

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
    "utils",
]


def __getattr__(name: str) -> object:
    if name == "eigen":
        raise NotImplementedError("densecrf.compat.eigen: is not offered; give and take numpy arrays instead")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
