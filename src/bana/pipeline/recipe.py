"""A recipe: the settings of all stages, as a preset holds them."""

from __future__ import annotations

from bana.affinity.settings import AffinitySettings
from bana.classify.settings import ClassifySettings
from bana.instance.settings import InstanceSettings
from bana.label.settings import LabelSettings
from bana.presets import Settings, change_settings
from bana.refine.settings import RefineSettings
from bana.segment.segmenter import PredictSettings
from bana.segment.settings import SegmentSettings


class Recipe(Settings):
    """Settings of stages 1 to 3, of prediction, of a Mask R-CNN, and of an affinity network."""

    classify: ClassifySettings = ClassifySettings()
    label: LabelSettings = LabelSettings()
    refine: RefineSettings = RefineSettings()
    segment: SegmentSettings = SegmentSettings()
    predict: PredictSettings = PredictSettings()
    instance: InstanceSettings = InstanceSettings()
    affinity: AffinitySettings = AffinitySettings()

    def with_precision(self, precision: str | None) -> Recipe:
        """The recipe with another number type in all trainings; the same for None. Raises SettingsError if unknown."""
        if precision is None:
            return self
        stages = ("classify", "refine", "segment", "instance", "affinity")
        changed = {stage: change_settings(getattr(self, stage), {"precision": precision}) for stage in stages}
        return self.model_copy(update=changed)
