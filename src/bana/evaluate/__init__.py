"""Scores of labels and predictions against true masks. Knows no stage: it reads arrays, files and data sets."""

from bana.callable_modules import make_callable
from bana.evaluate.boundary import BoundaryIoU
from bana.evaluate.confusion import ConfusionMatrix, binary_miou, mean_iou
from bana.evaluate.detection_scores import evaluate_detections
from bana.evaluate.folder import evaluate_labels, evaluate_predictions
from bana.evaluate.instances import MaskAP
from bana.evaluate.scores import LabelScores

__all__ = [
    "BoundaryIoU",
    "ConfusionMatrix",
    "LabelScores",
    "MaskAP",
    "binary_miou",
    "evaluate_detections",
    "evaluate_labels",
    "evaluate_predictions",
    "mean_iou",
]

make_callable(__name__)
