"""The settings of a Mask R-CNN and of its training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bana.instance.losses import MaskLoss
from bana.nn.settings import Count, MagnifiedTrainingSettings, NotNegative, SizedTrainingSettings


class InstanceSettings(SizedTrainingSettings, MagnifiedTrainingSettings):
    """How a Mask R-CNN is built and trained: SizedTrainingSettings, MagnifiedTrainingSettings, and these.

    Where images have an ``image_side``, they are not magnified.

    Attributes:
        backbone: As in TrainingSettings; the field's is ``resnet50``.
        width: Channels of the feature pyramid and of the mask head.
        mask_loss: What the mask head learns: the labels of a box's ``reliable`` pixels, on which Y_crf and Y_ret agree
            (the paper's way); of ``all`` pixels; ``noise_aware``: of the others too, by how far the head's own features
            agree with them; ``boxinst``: the boxes alone, by projections and colors (Tian et al., CVPR 2021).
        gamma: Damping of that confidence, as in Eq. 12.
        lam: Weight of the uncertain pixels, as in Eq. 14.
        box_samples: Proposals an image that the box head learns from; a quarter of them at most are objects.
        crop_size: As in TrainingSettings; larger than for classes, since boxes are found whole.
        batch_size: As in TrainingSettings.
        epochs: As in TrainingSettings; 12 are the field's "1x".
    """

    backbone: str = "resnet50"
    width: Annotated[int, Field(ge=8, le=1024)] = 256
    mask_loss: MaskLoss = "reliable"
    gamma: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 7.0
    lam: NotNegative = 0.1
    box_samples: Count = 512
    crop_size: Annotated[int, Field(ge=33)] = 513
    batch_size: Count = 16
    epochs: Count = 12
