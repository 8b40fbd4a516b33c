"""Scores of labels and predictions against true masks. Knows no stage: it reads arrays, files and data sets."""

from bana.callable_modules import make_callable
from bana.evaluate.boundary import BoundaryIoU
from bana.evaluate.confusion import (
    ConfusionMatrix,
    binary_iou,
    binary_miou,
    iou_per_class,
    mean_iou,
    mean_iou_of_all,
)
from bana.evaluate.detection_scores import DetectionScores, MaskArScores, evaluate_detections
from bana.evaluate.folder import evaluate_labels
from bana.evaluate.instances import MaskAP, MaskApScores, ScoredMask, TrueMask
from bana.evaluate.predictions import PredictionScores, evaluate_predictions
from bana.evaluate.scores import LabelingScores, LabelScores

__all__ = [
    "BoundaryIoU",
    "ConfusionMatrix",
    "DetectionScores",
    "LabelScores",
    "LabelingScores",
    "MaskAP",
    "MaskApScores",
    "MaskArScores",
    "PredictionScores",
    "ScoredMask",
    "TrueMask",
    "binary_iou",
    "binary_miou",
    "evaluate_detections",
    "evaluate_labels",
    "evaluate_predictions",
    "iou_per_class",
    "mean_iou",
    "mean_iou_of_all",
]

make_callable(__name__)
