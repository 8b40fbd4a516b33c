"""Mean intersection over union from one confusion matrix of a whole data set.

Intersection and union are summed over all images before they are divided, as PASCAL VOC does: a mean of per-image
scores would weigh an image with one pixel of a class like one that the class fills.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bana.errors import DataError, SettingsError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_AT_ONCE = 2**22
"""Pixels to count at a time, since each takes several times 8 bytes."""


class ConfusionMatrix:
    """Pixel counts of true class (rows) against predicted class (columns), summed over images.

    Pixels whose *truth* is the ignore label count for nothing. Valid pixels whose *prediction* is the ignore label are
    left out of the matrix and counted in ``ignored_counts``. Matrices of parts of a data set add up: ``a + b``.

    Args:
        num_classes: C, background included; class ids are 0..C-1.
        ignore_index: The label that is no class, outside 0..C-1.

    Attributes:
        counts: int64 (C, C); ``counts[t, p]`` pixels of true class t were predicted as p.
        ignored_counts: int64 (C,); pixels of each true class with no predicted one.

    Raises:
        SettingsError: If ``num_classes`` is below 1 or ``ignore_index`` is a class.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise SettingsError(f"num_classes is {num_classes}; it must be at least 1 (background counts too)")
        if 0 <= ignore_index < num_classes:
            raise SettingsError(
                f"ignore_index {ignore_index} is one of the {num_classes} classes; choose a label above"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts: IntArray = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.ignored_counts: IntArray = np.zeros(num_classes, dtype=np.int64)

    def update(self, prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
        """Add the pixels of one image, or of a stack of images.

        Args:
            prediction: Integers of any shape, each 0..C-1 or the ignore label.
            truth: The same of the true classes.

        Raises:
            DataError: If the shapes differ, or a label is neither a class nor the ignore label; nothing is counted.
        """
        prediction, truth = np.asarray(prediction), np.asarray(truth)
        if prediction.shape != truth.shape:
            raise DataError(f"prediction has shape {prediction.shape} but truth has {truth.shape}; give the same size")
        self._check_labels(prediction, "prediction")
        self._check_labels(truth, "truth")
        for first in range(0, truth.size, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            self._count(prediction.reshape(-1)[part], truth.reshape(-1)[part])

    def _count(self, prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
        valid = truth != self.ignore_index
        kept = valid & (prediction != self.ignore_index)
        cell = truth[kept].astype(np.int64) * self.num_classes + prediction[kept].astype(np.int64)
        self.counts += np.bincount(cell, minlength=self.num_classes**2).reshape(self.counts.shape)
        self.ignored_counts += np.bincount(truth[valid & ~kept].astype(np.int64), minlength=self.num_classes)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if (self.num_classes, self.ignore_index) != (other.num_classes, other.ignore_index):
            raise DataError(
                f"confusion matrices of {self.num_classes} and {other.num_classes} classes (ignore labels "
                f"{self.ignore_index} and {other.ignore_index}) do not add up; score all parts with one class list"
            )
        total = ConfusionMatrix(self.num_classes, self.ignore_index)
        total.counts = self.counts + other.counts
        total.ignored_counts = self.ignored_counts + other.ignored_counts
        return total

    @property
    def ignored_pixels(self) -> int:
        """Pixels with a true class and no predicted one."""
        return int(self.ignored_counts.sum())

    @property
    def ignored_share(self) -> float:
        """Share of the pixels with a true class that have no predicted one, 0..100; NaN where there is no pixel."""
        valid = self.ignored_pixels + int(self.counts.sum())
        return 100.0 * self.ignored_pixels / valid if valid else float("nan")

    @property
    def absent(self) -> tuple[int, ...]:
        """Ids of the classes that no counted pixel has, in truth or prediction: they are in no mean."""
        return tuple(int(index) for index in np.flatnonzero(_union(self.counts) == 0))

    def _check_labels(self, labels: npt.NDArray[Any], what: str) -> None:
        if not np.issubdtype(labels.dtype, np.integer):
            raise DataError(f"{what} is {labels.dtype}; labels must be integers")
        wrong = (labels < 0) | (labels >= self.num_classes)
        if wrong.any():
            outside = labels[wrong & (labels != self.ignore_index)]
            if outside.size:
                raise DataError(
                    f"{what} holds the label {outside[0]}; classes are 0..{self.num_classes - 1} and "
                    f"{self.ignore_index} is ignored: check that it belongs to the same class list"
                )


def iou_per_class(confusion: ConfusionMatrix | IntArray) -> FloatArray:
    """Intersection over union of every class.

    Args:
        confusion: A ConfusionMatrix, or its counts: int64 (C, C), rows are truth, columns prediction.

    Returns:
        float64 (C,) in 0..100; NaN for classes absent from truth and prediction.

    Raises:
        DataError: If ``confusion`` is not a square matrix of counts.
    """
    counts = _counts(confusion)
    return percent(np.diagonal(counts), _union(counts))


def mean_iou(confusion: ConfusionMatrix | IntArray) -> float:
    """Mean of the per-class IoU (mIoU), 0..100, over the classes that occur in truth or prediction.

    Args:
        confusion: A ConfusionMatrix, or its counts: int64 (C, C), rows are truth, columns prediction.

    Returns:
        The mean; absent classes are left out of it (``ConfusionMatrix.absent`` names them). NaN if all are absent.

    Raises:
        DataError: If ``confusion`` is not a square matrix of counts.
    """
    return mean_of_present(iou_per_class(confusion))


def mean_iou_of_all(confusion: ConfusionMatrix) -> float:
    """mIoU, 0..100, where a pixel that the prediction leaves open counts as wrong: it is in its true class's union.

    So labelings that leave out more or less can be compared; for one that leaves out nothing it is ``mean_iou``.
    """
    union = _union(confusion.counts) + confusion.ignored_counts
    return mean_of_present(percent(np.diagonal(confusion.counts), union))


def binary_iou(confusion: ConfusionMatrix | IntArray) -> float:
    """IoU of "any object" against background, 0..100, whatever the class; NaN if neither truth nor prediction has any.

    Args:
        confusion: A ConfusionMatrix, or its counts: int64 (C, C), class 0 is background.

    Raises:
        DataError: If ``confusion`` is not a square matrix of counts.
    """
    return float(iou_per_class(_any_object(confusion))[1])


def binary_miou(confusion: ConfusionMatrix | IntArray) -> float:
    """Class-agnostic mIoU, 0..100: the mean IoU of background and "any object", each left out where it is absent.

    Args:
        confusion: A ConfusionMatrix, or its counts: int64 (C, C), class 0 is background.

    Raises:
        DataError: If ``confusion`` is not a square matrix of counts.
    """
    return mean_iou(_any_object(confusion))


def mean_of_present(values: FloatArray) -> float:
    """Mean of the entries that are not NaN; NaN where there is none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def _counts(confusion: ConfusionMatrix | IntArray) -> IntArray:
    counts = confusion.counts if isinstance(confusion, ConfusionMatrix) else np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not np.issubdtype(counts.dtype, np.integer):
        raise DataError(
            f"confusion is {counts.dtype} of shape {counts.shape}; it must be integer counts of shape (C, C)"
        )
    if (counts < 0).any():
        raise DataError("confusion holds negative counts; give the counts of ConfusionMatrix.counts")
    return counts.astype(np.int64, copy=False)


def _any_object(confusion: ConfusionMatrix | IntArray) -> IntArray:
    """The counts (2, 2) of background and any object, all objects taken for one class."""
    counts = _counts(confusion)
    return np.array([[counts[:1, :1].sum(), counts[:1, 1:].sum()], [counts[1:, :1].sum(), counts[1:, 1:].sum()]])


def _union(counts: IntArray) -> IntArray:
    union: IntArray = counts.sum(axis=0) + counts.sum(axis=1) - np.diagonal(counts)
    return union


def percent(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """100 * part / whole, NaN where whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    share: FloatArray = np.divide(100.0 * part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return share
