"""How a stage's network is built and trained: the settings that stages 1 and 3 share, and their optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
from torch import nn, optim

from bana.engine.plan import Precision
from bana.nn.backbones import Backbone, Trained, create_backbone
from bana.presets import Settings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=2048)]
"""Channels of a head: a file of a network states them, and must not ask for all the memory before it is refused."""

Schedule = Literal["step", "multistep", "poly"]


class TrainingSettings(Settings):
    """What the settings of stages 1 and 3 have in common.

    Attributes:
        backbone: ``lite0``, ``vgg16``, ``resnet50``, ``resnet101`` or ``timm:<model>``.
        backbone_weights: ``default``, ``random`` or a file.
        train_backbone: Which of its layers are trained: ``all``, ``late`` (those after its finest map) or ``none``.
            Unless all are, the others are not saved either.
        start: Where training begins: ``backbone`` (its weights, a new head) or ``labeler`` (all layers of a trained box
            classifier of the same backbone and head).
        crop_size: Side of the random crop in pixels; a multiple of the backbone's stride plus 1.
        scale_range: Least and greatest factor of random scaling.
        color_jitter: Strength of random brightness, contrast and saturation, 0..1.
        optimizer: ``sgd`` with momentum 0.9 or ``adamw``.
        lr_backbone: Learning rate of the backbone.
        lr_head: Learning rate of the head and classifier.
        weight_decay: Of weights; biases have none.
        schedule: ``step`` divides the rates by 10 after two thirds of the run; ``multistep``, once more after 11/12
            (8 and 11 of Mask R-CNN's 12 epochs); ``poly`` lets them fall as (1 - p)^0.9.
        warmup: Share of the run, 0..1, over which the rates first rise from nothing.
        epochs: Passes over the images.
        batch_size: Images a step.
        precision: ``float32``, ``bfloat16`` or ``float16``: of the steps' computations.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "crop": "crop_size",
        "scale": "scale_range",
        "jitter": "color_jitter",
        "rate_pretrained": "lr_backbone",
        "rate_new": "lr_head",
        "warm_up": "warmup",
    }

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
    epochs: Count = 15
    batch_size: Count = 20
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if self.scale_range[0] > self.scale_range[1]:
            raise ValueError("scale_range: the first factor must not exceed the second")
        return self

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
        image_side: Longer side, in pixels, that images are taken to have before random scaling; None: what they have.
    """

    image_side: Annotated[int, Field(ge=33, le=8192)] | None = None

    def scale_of(self, height: int, width: int) -> tuple[float, float]:
        """The least and greatest factor by which an image of H x W pixels is scaled."""
        factor = 1.0 if self.image_side is None else self.image_side / max(height, width)
        return self.scale_range[0] * factor, self.scale_range[1] * factor


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers from this seed within the block; the caller's stay as they are.

    A caller's inference mode is none of the block's either, so that a network built in it can be trained.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        torch.manual_seed(seed)
        yield


def build_backbone(settings: TrainingSettings, weights: str | None = None) -> Backbone:
    """The backbone that the settings name, with gradients for the layers that they train.

    Args:
        settings: Backbone, its weights, and the crop.
        weights: Backbone weights instead of those that the settings name.

    Raises:
        SettingsError: If the backbone or its weights cannot be had, or the crop does not fit it.
    """
    backbone = create_backbone(settings.backbone, weights or settings.backbone_weights)
    backbone.check_crop(settings.crop_size, settings.backbone)
    backbone.train_only(settings.train_backbone)
    return backbone


def build_optimizer(model: nn.Module, settings: TrainingSettings) -> optim.Optimizer:
    """Four groups: weights and biases of the pretrained and of the new layers. Biases: twice the rate, no decay.

    Args:
        model: Its pretrained layers are those under ``backbone``.
        settings: Rates, decay and the kind of optimizer.
    """
    groups: list[dict[str, Any]] = []
    for pretrained, rate in ((True, settings.lr_backbone), (False, settings.lr_head)):
        for is_bias in (False, True):
            parameters = [
                parameter
                for name, parameter in model.named_parameters()
                if parameter.requires_grad
                and name.startswith("backbone.") == pretrained
                and name.endswith(".bias") == is_bias
            ]
            if parameters:
                groups.append(
                    {
                        "params": parameters,
                        "lr": rate * (2 if is_bias else 1),
                        "weight_decay": 0.0 if is_bias else settings.weight_decay,
                    }
                )
    if settings.optimizer == "adamw":
        return optim.AdamW(groups)
    return optim.SGD(groups, momentum=0.9)
