"""What the evaluation of labels and predictions gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bana.evaluate.instances import MaskApScores


@dataclass(frozen=True)
class LabelingScores:
    """Scores of one semantic labeling of a data set, all 0..100.

    Attributes:
        miou: Mean of ``per_class`` without NaN.
        miou_of_all: The same where pixels that the labeling leaves open count as wrong.
        boundary_iou: Mean of ``boundary_per_class`` without NaN; None where it was not computed.
        binary_iou: IoU of any object against background.
        binary_miou: Mean of ``binary_iou`` and the IoU of background.
        ignored_share: Share of the pixels with a true class that the labeling leaves open.
        per_class: IoU of background and the L classes; NaN for those absent from truth and labeling.
        boundary_per_class: Boundary IoU of the same classes; None where it was not computed.
    """

    miou: float
    miou_of_all: float
    boundary_iou: float | None
    binary_iou: float
    binary_miou: float
    ignored_share: float
    per_class: tuple[float, ...]
    boundary_per_class: tuple[float, ...] | None

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """The scores as JSON takes them: classes by their names (background's first), None for what is not defined."""
        return scores_as_dict(self, classes)


@dataclass(frozen=True)
class LabelScores:
    """Scores of a label folder against the true masks of a data set.

    Attributes:
        classes: ``background`` and the L class names, by class id.
        images: The number of images.
        labelings: ``box`` (rectangles as masks), ``y_crf``, ``y_ret``, and ``agreed`` (where these two are the same).
        instances: Mask AP.
        instances_derived: Objects whose true mask is what the class mask has in their box.
        instances_unknown: Objects that are left out of the mask AP since their box overlaps another of their class in
            an image that has a class mask alone.
        box_accuracy: Share of boxes whose predicted class is the given one, 0..100; NaN where none has a prediction.
        box_accuracy_per_class: The same for every class id that has boxes with a prediction.
    """

    classes: tuple[str, ...]
    images: int
    labelings: Mapping[str, LabelingScores]
    instances: MaskApScores
    instances_derived: int
    instances_unknown: int
    box_accuracy: float
    box_accuracy_per_class: Mapping[int, float]

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """Classes that occur in no true mask and no labeling: they are in no mean."""
        scores = zip(*(each.per_class for each in self.labelings.values()), strict=True)
        return tuple(
            name
            for name, values in zip(self.classes, scores, strict=True)
            if all(math.isnan(value) for value in values)
        )

    def as_dict(self) -> dict[str, Any]:
        """The scores as JSON takes them: classes by name, None for what is not defined."""
        return {
            "images": self.images,
            **{name: scores.as_dict(self.classes) for name, scores in self.labelings.items()},
            "instances": scores_as_dict(self.instances, self.classes),
            "instances_derived": self.instances_derived,
            "instances_unknown": self.instances_unknown,
            "boxes": {
                "accuracy": json_number(self.box_accuracy),
                "per_class": _of_classes(self.box_accuracy_per_class, self.classes),
            },
            "absent_classes": list(self.absent_classes),
        }


@dataclass(frozen=True)
class PredictionScores:
    """Scores of predictions against true masks.

    Attributes:
        classes: ``background`` and the L class names, by class id.
        images: The number of images.
        prediction: The scores.
    """

    classes: tuple[str, ...]
    images: int
    prediction: LabelingScores

    def as_dict(self) -> dict[str, Any]:
        """The scores as JSON takes them."""
        return {"images": self.images, "prediction": self.prediction.as_dict(self.classes)}


def scores_as_dict(scores: LabelingScores | MaskApScores, classes: Sequence[str]) -> dict[str, Any]:
    """Scores as JSON takes them; ``classes`` are the names by class id, background's first."""
    return {
        name: json_number(value) if isinstance(value, float | None) else _of_classes(value, classes)
        for name, value in vars(scores).items()
    }


def json_number(value: float | None) -> float | None:
    """A score as JSON takes it, which has no NaN: None where it is not defined."""
    return None if value is None or math.isnan(value) else value


def _of_classes(values: Sequence[float] | Mapping[int, float], classes: Sequence[str]) -> dict[str, float | None]:
    """Scores by class id as scores by class name."""
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    return {classes[class_id]: json_number(value) for class_id, value in items}
