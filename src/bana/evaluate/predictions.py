"""Scoring a folder of predictions, as ``bana predict`` writes it, against the true masks of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from bana.data.prediction_folder import PredictionFolder
from bana.data.records import BoxDataset
from bana.data.truth import required_truth
from bana.evaluate.folder import LabelingEvaluation, Progress
from bana.evaluate.scores import LabelingScores


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


def evaluate_predictions(
    predictions_dir: str | PathLike[str], dataset: BoxDataset, *, boundary: bool = True, progress: Progress = iter
) -> PredictionScores:
    """Score a folder that ``bana predict`` wrote against the true masks of a data set.

    Args:
        predictions_dir: The folder. It may hold predictions of more images than the data set has.
        dataset: The data set with true masks; predictions are found by its image ids.
        boundary: Whether to compute boundary IoU.
        progress: Wraps the images as they are gone through, to show how far it is.

    Raises:
        DataError: If the folder lacks an image of the data set or has other classes, an image has no true mask, or a
            file is damaged or of another size than its image.
    """
    folder = PredictionFolder(Path(predictions_dir))
    folder.check(dataset)
    table = dataset.class_table
    evaluation = LabelingEvaluation(table, boundary=boundary)
    for record in progress(dataset):
        evaluation.update(folder.label_map(record), required_truth(record, table))
    return PredictionScores(("background", *dataset.classes), len(dataset), evaluation.scores())
