"""Whether confidence can be taken at its word: of pixels labeled with confidence p, a share of p should be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 10
"""Bins of equal width between 0 and 1."""


@dataclass(frozen=True)
class CalibrationBin:
    """Pixels of about one confidence.

    Attributes:
        confidence: Their mean confidence, 0..1.
        right: Share of them whose label is the true one, 0..1.
        share: Of all pixels, 0..1.
    """

    confidence: float
    right: float
    share: float


class Calibration:
    """Counts of pixels by confidence and of the right ones among them, summed over images; parts add up: ``a + b``."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, BINS))  # pixels, right ones, sum of confidence

    def update(self, confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> None:
        """Add pixels: their confidence in 0..1 and whether their label is right, two arrays of one shape."""
        values = np.asarray(confidence, dtype=np.float64).ravel()
        bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
        for row, weights in enumerate((np.ones_like(values), right.ravel().astype(np.float64), values)):
            self._counts[row] += np.bincount(bins, weights, minlength=BINS)

    def __add__(self, other: Calibration) -> Calibration:
        total = Calibration()
        total._counts = self._counts + other._counts
        return total

    def bins(self) -> list[CalibrationBin]:
        """The bins that hold any pixel, from the least confidence to the most."""
        pixels, right, confidence = self._counts
        return [
            CalibrationBin(confidence[k] / pixels[k], right[k] / pixels[k], pixels[k] / pixels.sum())
            for k in np.flatnonzero(pixels)
        ]

    def expected_error(self) -> float:
        """Expected calibration error: mean of |confidence - share of right ones| over pixels, 0..1; NaN of none."""
        bins = self.bins()
        return sum(each.share * abs(each.confidence - each.right) for each in bins) if bins else float("nan")
