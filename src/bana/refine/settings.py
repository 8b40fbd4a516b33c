"""The settings of stage 2b, the refiner."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bana.nn.backbones import Trained
from bana.nn.settings import Count, NotNegative, Positive, Schedule, TrainingSettings


class RefineSettings(TrainingSettings):
    """How a refiner is built and trained: TrainingSettings with other defaults, and these.

    ``crop_size`` is the side of the square that each window is stretched to, and ``scale_range`` what half of the
    windows are shrunk by first, so that large objects teach small ones.

    Attributes:
        context: Sides of the window, in sides of the box.
        boxes_per_image: Most boxes of an image in one epoch; others are drawn in the next.
        min_side: Boxes whose shorter side has fewer pixels are not learned from.
        looseness: Half of the boxes are made larger, but few of those that are shrunk. Each side moves out by at most
            this share of the box, or in by a quarter of that.
        occlusion: Share of the boxes over which an object of another image is pasted.
        synthetic: Share of the boxes in whose place an object is pasted into the image, cut out of another image or
            made up. All of its pixels are known.
        reach_weight: Weight of the loss that lets objects reach into each row and column of their boxes.
        pairwise_weight: Weight of the loss that gives neighbors of like color like labels.
    """

    pyramid: ClassVar[bool] = True
    train_backbone: Trained = "all"
    crop_size: Annotated[int, Field(ge=33)] = 129
    scale_range: tuple[Positive, Positive] = (0.09, 0.7)
    color_jitter: Annotated[float, Field(ge=0, le=1)] = 0.4
    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr_backbone: Positive = 5e-4
    lr_head: Positive = 2e-3
    weight_decay: NotNegative = 1e-3
    schedule: Schedule = "poly"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    epochs: Count = 6
    batch_size: Count = 12
    context: Annotated[float, Field(ge=1, le=4)] = 1.5
    boxes_per_image: Count = 8
    min_side: NotNegative = 16
    looseness: Annotated[float, Field(ge=0, le=1)] = 0.25
    occlusion: Annotated[float, Field(ge=0, le=1)] = 0.4
    synthetic: Annotated[float, Field(ge=0, le=1)] = 0.25
    reach_weight: NotNegative = 0.2
    pairwise_weight: NotNegative = 0.5
