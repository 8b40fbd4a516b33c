"""Boxes in, masks out: pixel labels and segmentation networks from bounding boxes.

The names here are imported when they are first used, so that ``import bana`` does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bana._version import __version__
from bana.callable_modules import API
from bana.errors import BanaError, CheckpointError, DataError, OutputError, SettingsError

if TYPE_CHECKING:
    from bana.api.comparing import compare, reproduce
    from bana.api.datasets import check, convert, evaluate
    from bana.api.labeling import label, merge, tune
    from bana.api.predicting import export, predict
    from bana.api.runs import app, demo, report, run
    from bana.api.training import affinity, classify, refine, segment
    from bana.data.images import open_image
    from bana.data.reading import read_dataset
    from bana.data.records import BoxDataset, ImageRecord
    from bana.instance.detector import Detections, Detector
    from bana.label.labeler import Labeler
    from bana.label.pseudo_labels import PseudoLabels
    from bana.segment.segmenter import Prediction, Segmenter

__all__ = [
    "BanaError",
    "BoxDataset",
    "CheckpointError",
    "DataError",
    "Detections",
    "Detector",
    "ImageRecord",
    "Labeler",
    "OutputError",
    "Prediction",
    "PseudoLabels",
    "Segmenter",
    "SettingsError",
    "__version__",
    "affinity",
    "app",
    "check",
    "classify",
    "compare",
    "convert",
    "demo",
    "evaluate",
    "export",
    "label",
    "merge",
    "open_image",
    "predict",
    "read_dataset",
    "refine",
    "report",
    "reproduce",
    "run",
    "segment",
    "tune",
]

_CLASSES = {
    "BoxDataset": "bana.data.records",
    "Detections": "bana.instance.detector",
    "Detector": "bana.instance.detector",
    "ImageRecord": "bana.data.records",
    "Labeler": "bana.label.labeler",
    "Prediction": "bana.segment.segmenter",
    "PseudoLabels": "bana.label.pseudo_labels",
    "Segmenter": "bana.segment.segmenter",
    "open_image": "bana.data.images",
    "read_dataset": "bana.data.reading",
}
_PACKAGES = ("affinity", "app", "classify", "evaluate", "label", "refine", "report", "segment")
"""Packages that are functions too."""


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"bana.{name}")
    if home := _CLASSES.get(name) or API.get(name):
        return getattr(import_module(home), name)
    raise AttributeError(f"module 'bana' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
