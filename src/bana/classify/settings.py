"""The settings of stage 1; the defaults are the paper's recipe (DESIGN: SGD, 15 epochs, crop 321)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bana.nn.backbones import Trained
from bana.presets import Settings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class ClassifySettings(Settings):
    """How a box classifier is built and trained.

    Attributes:
        backbone: ``lite0``, ``vgg16``, ``resnet101`` or ``timm:<model>``.
        backbone_weights: ``default``, ``random`` or a file.
        train_backbone: Which of its layers are trained: ``all``, ``late`` (those after its finest map) or ``none``.
            Unless all are, the others are not saved either.
        head_width: Channels of a head that fuses the backbone's depths; None: features are the backbone's last map.
        pooling: ``bap`` (Eq. 4) or ``gap`` (Table 1's ablation: A = 0).
        grid_size: N, background queries in each direction (Eq. 1).
        roi_bins: R, bins a box in each direction; each is classified.
        crop: Side of the random crop in pixels; a multiple of the backbone's stride plus 1.
        scale: Least and greatest factor of random scaling.
        jitter: Strength of random brightness, contrast and saturation, 0..1.
        optimizer: ``sgd`` with momentum 0.9 or ``adamw``.
        rate_pretrained: Learning rate of the backbone.
        rate_new: Learning rate of the head and classifier.
        weight_decay: Of weights; biases have none.
        schedule: ``step`` divides the rates by 10 after two thirds of the run; ``poly`` lets them fall as (1 - p)^0.9.
        epochs: Passes over the images.
        batch_size: Images a step.
    """

    backbone: str = "lite0"
    backbone_weights: str = "default"
    train_backbone: Trained = "all"
    head_width: Count | None = None
    pooling: Literal["bap", "gap"] = "bap"
    grid_size: Count = 4
    roi_bins: Count = 2
    crop: Annotated[int, Field(ge=33)] = 321
    scale: tuple[Positive, Positive] = (0.5, 1.5)
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.5
    optimizer: Literal["sgd", "adamw"] = "sgd"
    rate_pretrained: Positive = 1e-3
    rate_new: Positive = 1e-2
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-4
    schedule: Literal["step", "poly"] = "step"
    epochs: Count = 15
    batch_size: Count = 20

    @model_validator(mode="after")
    def _check(self) -> ClassifySettings:
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale: the first factor must not exceed the second")
        if self.train_backbone == "none" and self.head_width is None and self.backbone_weights == "random":
            raise ValueError("a random backbone that is not trained learns nothing; set train_backbone")
        return self
