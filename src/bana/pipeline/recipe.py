"""A recipe: the settings of all stages, as a preset holds them."""

from __future__ import annotations

from bana.classify.settings import ClassifySettings
from bana.instance.settings import InstanceSettings
from bana.label.settings import LabelSettings
from bana.presets import Settings
from bana.refine.settings import RefineSettings
from bana.segment.segmenter import PredictSettings
from bana.segment.settings import SegmentSettings


class Recipe(Settings):
    """Settings of stages 1 to 3, of prediction, and of a Mask R-CNN."""

    classify: ClassifySettings = ClassifySettings()
    label: LabelSettings = LabelSettings()
    refine: RefineSettings = RefineSettings()
    segment: SegmentSettings = SegmentSettings()
    predict: PredictSettings = PredictSettings()
    instance: InstanceSettings = InstanceSettings()
