"""The fully connected CRF for image segmentation: ``from densecrf import DenseCRF``."""

from densecrf.dense import DenseCRF
from densecrf.errors import DenseCRFError
from densecrf.general import MeanField
from densecrf.kernel import Kernel
from densecrf.prepared import PreparedCRF

__all__ = ["DenseCRF", "DenseCRFError", "Kernel", "MeanField", "PreparedCRF"]
