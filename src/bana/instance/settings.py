"""The settings of a Mask R-CNN and of its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bana.engine.loop import Precision
from bana.nn.training import Count, TrainingSettings


class InstanceSettings(TrainingSettings):
    """How a Mask R-CNN is built and trained: TrainingSettings, and these.

    Attributes:
        backbone: As in TrainingSettings; the field's is ``resnet50``.
        width: Channels of the feature pyramid and of the mask head.
        mask_pixels: Where the mask loss is taken: on the ``reliable`` pixels of a box, on which Y_crf and Y_ret agree
            (the paper's way), or on ``all``.
        box_samples: Proposals an image that the box head learns from; a quarter of them at most are objects.
        precision: ``float32``, ``bfloat16`` or ``float16``: of the steps' computations.
        crop: As in TrainingSettings; larger than for classes, since boxes are found whole.
        batch_size: As in TrainingSettings.
        epochs: As in TrainingSettings; 12 are the field's "1x".
    """

    backbone: str = "resnet50"
    width: Annotated[int, Field(ge=8, le=1024)] = 256
    mask_pixels: Literal["reliable", "all"] = "reliable"
    box_samples: Count = 512
    precision: Precision = "float32"
    crop: Annotated[int, Field(ge=33)] = 513
    batch_size: Count = 16
    epochs: Count = 12
