"""Instance segmentation: Mask R-CNN trained on the masks that boxes were labeled with (paper 4.3)."""

from bana.instance.detector import Detections, Detector, DetectSettings

__all__ = ["DetectSettings", "Detections", "Detector"]
