"""A recipe: the settings of all stages, as a preset holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bana.affinity.settings import AffinitySettings
from bana.classify.settings import ClassifySettings
from bana.instance.settings import InstanceSettings
from bana.label.settings import LabelSettings
from bana.nn.network_file import NetworkSettings
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

    def with_epochs(self, epochs: int | None) -> Recipe:
        """The recipe with so many epochs of the segmentation network; the same for None."""
        return self.model_copy(update={"segment": change_training(self.segment, {"epochs": epochs})})


def change_training(settings: NetworkSettings, changes: Mapping[str, Any]) -> NetworkSettings:
    """Settings with what a user asks for; epochs that are asked for are not raised to ``min_steps``.

    Raises:
        SettingsError: If a name is not known or a value is not allowed.
    """
    asked = changes.get("epochs") is not None
    return change_settings(settings, {**({"min_steps": 0} if asked else {}), **changes})
