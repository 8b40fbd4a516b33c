"""The fully connected CRF, usable on its own: ``from bana.crf import DenseCRF``."""

from bana.crf.dense import DenseCRF

__all__ = ["DenseCRF"]
