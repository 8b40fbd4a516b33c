"""The fully connected CRF, usable on its own: ``from densecrf import DenseCRF``."""

from densecrf.dense import DenseCRF
from densecrf.general import MeanField
from densecrf.kernel import Kernel
from densecrf.prepared import PreparedCRF

__all__ = ["DenseCRF", "Kernel", "MeanField", "PreparedCRF"]
