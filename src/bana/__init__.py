"""Boxes in, masks out: pixel labels and segmentation networks from bounding boxes.

The names here are imported when they are first used, so that ``import bana`` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bana._version import __version__
from bana.errors import BanaError

if TYPE_CHECKING:
    from bana.data.reading import read_dataset
    from bana.data.records import BoxDataset, ImageRecord
    from bana.instance.detector import Detections, Detector
    from bana.label.labeler import Labeler
    from bana.label.pseudo_labels import PseudoLabels
    from bana.segment.segmenter import Prediction, Segmenter

__all__ = [
    "BanaError",
    "BoxDataset",
    "Detections",
    "Detector",
    "ImageRecord",
    "Labeler",
    "Prediction",
    "PseudoLabels",
    "Segmenter",
    "__version__",
    "read_dataset",
]

_HOMES = {
    "read_dataset": "bana.data.reading",
    "BoxDataset": "bana.data.records",
    "ImageRecord": "bana.data.records",
    "Detector": "bana.instance.detector",
    "Detections": "bana.instance.detector",
    "Labeler": "bana.label.labeler",
    "PseudoLabels": "bana.label.pseudo_labels",
    "Segmenter": "bana.segment.segmenter",
    "Prediction": "bana.segment.segmenter",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'bana' has no attribute {name!r}")
