"""The settings of the affinity network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bana.nn.backbones import Trained
from bana.nn.settings import Count, Positive, Schedule, SizedTrainingSettings, Width


class AffinitySettings(SizedTrainingSettings):
    """How an affinity network is built and trained: SizedTrainingSettings with other defaults, and these.

    ``image_side`` is also the size at which labeling computes affinities.

    Attributes:
        width: Channels of f_aff.
        radius: gamma: cells at this distance or further apart are no pair.
    """

    train_backbone: Trained = "none"
    start: Literal["backbone"] = "backbone"
    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr_backbone: Positive = 1e-4
    lr_head: Positive = 1e-3
    schedule: Schedule = "poly"
    epochs: Count = 8
    batch_size: Count = 8
    width: Width = 128
    radius: Annotated[int, Field(ge=2, le=16)] = 5
