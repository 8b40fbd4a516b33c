"""A recipe: the settings of both stages, as a preset holds them."""

from __future__ import annotations

from bana.classify.settings import ClassifySettings
from bana.label.settings import LabelSettings
from bana.presets import Settings


class Recipe(Settings):
    """Settings of stages 1 and 2."""

    classify: ClassifySettings = ClassifySettings()
    label: LabelSettings = LabelSettings()
