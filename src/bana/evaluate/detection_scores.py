"""Scoring results of instance segmentation against the true masks of a data set, with COCO's twelve numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any

from bana.data.records import BoxDataset
from bana.evaluate.detections import COCO, DetectionResults
from bana.evaluate.folder import Progress
from bana.evaluate.instances import (
    ClassCurves,
    MaskApScores,
    MaskMatches,
    average_precision,
    mean_percent,
)
from bana.evaluate.scores import json_number, scores_as_dict
from bana.evaluate.true_masks import TrueMasks

MAX_DETECTIONS = (1, 10, 100)
"""COCO's limits: only so many of the surest masks of a class in an image count, for precision the last."""


@dataclass(frozen=True)
class MaskArScores:
    """Average recall of masks: the mean over classes and IoU thresholds, 0..100, NaN where there is no true object.

    Attributes:
        ar1: With the surest mask of each class in an image.
        ar10: With the 10 surest.
        ar100: With the 100 surest.
        ar_small: With these, of objects whose area is at most 32 * 32 pixels.
        ar_medium: Of objects between.
        ar_large: Of objects whose area is at least 96 * 96 pixels.
    """

    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float


@dataclass(frozen=True)
class DetectionScores:
    """Scores of instance segmentation results.

    Attributes:
        classes: ``background`` and the L class names, by class id.
        images: The number of images.
        detections: The number of predicted masks.
        precision: Mask AP.
        recall: Mask AR.
        instances_derived: Objects whose true mask is what the class mask has in their box.
        instances_unknown: Objects that are left out since their box overlaps another of their class in an image that
            has a class mask alone.
    """

    classes: tuple[str, ...]
    images: int
    detections: int
    precision: MaskApScores
    recall: MaskArScores
    instances_derived: int
    instances_unknown: int

    def as_dict(self) -> dict[str, Any]:
        """The scores as JSON takes them: classes by name, None for what is not defined."""
        recall = {name: json_number(value) for name, value in asdict(self.recall).items()}
        return {
            "images": self.images,
            "detections": self.detections,
            "instances": {**scores_as_dict(self.precision, self.classes), **recall},
            "instances_derived": self.instances_derived,
            "instances_unknown": self.instances_unknown,
        }


def evaluate_detections(
    results: str | PathLike[str], dataset: BoxDataset, *, progress: Progress = iter
) -> DetectionScores:
    """Score results in COCO's format as COCO's own evaluation of masks does, with its limit of 100 a class and image.

    Objects whose true mask is not known are ignored regions. Images without any true object take part.

    Args:
        results: The JSON file, see DetectionResults.
        dataset: The data set with true masks.
        progress: Wraps the images as they are gone through, to show how far it is.

    Raises:
        DataError: If the results are damaged or of other images or classes (see DetectionResults), or an image has
            objects and no true mask.
    """
    detections = DetectionResults(results, dataset)
    truth = TrueMasks(dataset.class_table, as_coco=dataset.format == COCO)
    matches = MaskMatches(MAX_DETECTIONS)
    # Of masks with one score those of earlier images come first, for COCO by number.
    for record in progress(sorted(dataset, key=lambda record: record.source_id or 0)):
        matches.update(detections.of(record), truth.of(record).masks)
    curves = matches.curves()
    return DetectionScores(
        classes=("background", *dataset.classes),
        images=len(dataset),
        detections=len(detections),
        precision=average_precision(curves),
        recall=average_recall(curves),
        instances_derived=truth.derived,
        instances_unknown=truth.unknown,
    )


def average_recall(curves: Mapping[int, ClassCurves]) -> MaskArScores:
    """The average recall of classes by their ids, whose curves have the limits of MAX_DETECTIONS."""

    def mean(area: int, limit: int) -> float:
        return mean_percent(each.recall[:, area, limit] for each in curves.values())

    limits_of_areas = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))
    return MaskArScores(*(mean(area, limit) for area, limit in limits_of_areas))
