"""How a network is built and trained: the settings that the stages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from bana.data.records import ImageRecord, box_sides
from bana.engine.plan import Precision
from bana.nn.backbones import Trained
from bana.presets import Settings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=2048)]
"""Channels of a head. Bounded, because a file of a network states them and must not ask for all memory."""

Schedule = Literal["step", "multistep", "poly"]

_OBJECT_SIDE = 32.0
"""Pixels that an object should have, four cells of a map of stride 8; of smaller ones a network sees too little."""

_MAX_MAGNIFICATION = 4.0


class TrainingSettings(Settings):
    """What the settings of all stages have in common.

    Attributes:
        pyramid: Whether the stage takes the backbone's maps of all strides (``create_backbone``).
        backbone: ``lite0``, ``lite2``, ``vgg16``, ``resnet50``, ``resnet101``, ``resnet101-deeplab`` or
            ``timm:<model>``.
        backbone_weights: ``default``, ``random`` or a file.
        train_backbone: Which of its layers are trained: ``all``, ``late`` (those after its finest map) or ``none``.
            Layers that are not trained are not saved either.
        start: Where training begins: ``backbone`` (its weights, a new head) or ``labeler`` (all layers of a trained box
            classifier of the same backbone and head).
        crop_size: Side of the random crop in pixels; a multiple of the backbone's stride plus 1.
        scale_range: Smallest and largest factor of random scaling.
        color_jitter: Strength of random brightness, contrast and saturation, 0..1.
        optimizer: ``sgd`` with momentum 0.9 or ``adamw``.
        lr_backbone: Learning rate of the backbone.
        lr_head: Learning rate of the head and classifier.
        weight_decay: Weight decay of weights; biases have none.
        schedule: ``step`` divides the learning rates by 10 after two thirds of the run; ``multistep``, once more after
            11/12 (8 and 11 of Mask R-CNN's 12 epochs); ``poly`` lets them fall as (1 - p)^0.9.
        warmup: Share of the run, 0..1, over which the learning rates first rise from 0.
        sampling: ``uniform`` takes each image once an epoch; ``balanced`` those of rare classes more often, in an epoch
            of the same length.
        epochs: Passes over the images; more where they would make fewer steps than ``min_steps``.
        min_steps: Least number of steps of a run, for few images.
        batch_size: Images in a step.
        precision: Number type of the computations: ``float32``, ``bfloat16`` or ``float16``.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "crop": "crop_size",
        "scale": "scale_range",
        "jitter": "color_jitter",
        "rate_pretrained": "lr_backbone",
        "rate_new": "lr_head",
        "warm_up": "warmup",
    }

    pyramid: ClassVar[bool] = False
    backbone: str = "lite0"
    backbone_weights: str = "default"
    train_backbone: Trained = "all"
    start: Literal["backbone", "labeler"] = "backbone"
    crop_size: Annotated[int, Field(ge=33)] = 321
    scale_range: tuple[Positive, Positive] = (0.5, 1.5)
    color_jitter: Annotated[float, Field(ge=0, le=1)] = 0.5
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr_backbone: Positive = 1e-3
    lr_head: Positive = 1e-2
    weight_decay: NotNegative = 5e-4
    schedule: Annotated[Schedule, BeforeValidator(lambda name: "multistep" if name == "two_steps" else name)] = "step"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    sampling: Literal["uniform", "balanced"] = "uniform"
    epochs: Count = 15
    min_steps: Annotated[int, Field(ge=0)] = 0
    batch_size: Count = 20
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if self.scale_range[0] > self.scale_range[1]:
            raise ValueError("scale_range: the first factor must not exceed the second")
        return self

    def for_images(self, records: Sequence[ImageRecord]) -> Self:
        """These settings with what follows from the images: the epochs that make at least ``min_steps`` steps."""
        least = -(-self.min_steps // -(-max(len(records), 1) // self.batch_size))
        return self.model_copy(update={"epochs": max(self.epochs, least)})

    def scale_of(self, height: int, width: int) -> tuple[float, float]:
        """The smallest and largest factor by which an image of H x W pixels is scaled."""
        return self.scale_range

    def lr_factor(self, progress: float) -> float:
        """The factor on the learning rates after a share ``progress`` (0..1) of the run."""
        rising = min(1.0, progress / self.warmup) if self.warmup else 1.0
        if self.schedule == "poly":
            return rising * float((1 - progress) ** 0.9)
        steps = (2 / 3, 11 / 12) if self.schedule == "multistep" else (2 / 3,)
        return rising * 0.1 ** sum(progress >= step for step in steps)


class SizedTrainingSettings(TrainingSettings):
    """TrainingSettings of a network that sees images at one size.

    Attributes:
        image_side: Longer side, in pixels, that images are scaled to before random scaling (None: not scaled).
    """

    image_side: Annotated[int, Field(ge=33, le=8192)] | None = None

    def scale_of(self, height: int, width: int) -> tuple[float, float]:
        """As in TrainingSettings; the factors are relative to ``image_side``."""
        if self.image_side is None:
            return super().scale_of(height, width)
        factor = self.image_side / max(height, width)
        return self.scale_range[0] * factor, self.scale_range[1] * factor


class MagnifiedTrainingSettings(TrainingSettings):
    """TrainingSettings of a network that sees images at their own size, or magnified where objects are small.

    Attributes:
        magnification: Factor on the size of images, in training before random scaling and in prediction; ``auto``: such
            that half of the training boxes have sides (geometric mean) of at least 32 pixels, from 1 to 4.
    """

    magnification: Annotated[float, Field(gt=0, le=16)] | Literal["auto"] = 1.0

    @property
    def magnified(self) -> float:
        """The factor; 1 before ``auto`` is decided."""
        return 1.0 if self.magnification == "auto" else self.magnification

    def for_images(self, records: Sequence[ImageRecord]) -> Self:
        """As in TrainingSettings, and with a number as ``magnification``."""
        settings = super().for_images(records)
        if self.magnification != "auto":
            return settings
        return settings.model_copy(update={"magnification": magnification_for(records)})

    def scale_of(self, height: int, width: int) -> tuple[float, float]:
        """As in TrainingSettings, times the magnification."""
        return self.scale_range[0] * self.magnified, self.scale_range[1] * self.magnified


def magnification_for(records: Sequence[ImageRecord]) -> float:
    """The factor that makes half of the boxes at least 32 pixels large, from 1 to 4, in steps of 1/4."""
    sides = np.concatenate([*(box_sides(record.boxes[~record.crowd]) for record in records), np.empty(0, np.float32)])
    factor = _OBJECT_SIDE / max(float(np.median(sides)), 1.0) if len(sides) else 1.0
    return min(max(round(4 * factor) / 4, 1.0), _MAX_MAGNIFICATION)
