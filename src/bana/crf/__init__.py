"""The fully connected CRF, usable on its own: ``from bana.crf import DenseCRF``."""

from bana.crf.dense import DenseCRF, PreparedCRF
from bana.crf.general import MeanField
from bana.crf.kernel import Kernel

__all__ = ["DenseCRF", "Kernel", "MeanField", "PreparedCRF"]
