"""The fully connected CRF, usable on its own: ``from bana.crf import DenseCRF``."""

from bana.crf.dense import DenseCRF
from bana.crf.general import MeanField
from bana.crf.kernel import Kernel
from bana.crf.prepared import PreparedCRF

__all__ = ["DenseCRF", "Kernel", "MeanField", "PreparedCRF"]
