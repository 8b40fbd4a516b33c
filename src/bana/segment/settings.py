"""The settings of stage 3; the defaults are the paper's (poly schedule, gamma 7, lambda 0.1, temperature 20)."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from bana.nn.settings import Count, MagnifiedTrainingSettings, NotNegative, Positive, Schedule, Width

Loss = Literal[
    "nal",
    "agreed",
    "y_crf",
    "y_ret",
    "entropy",
    "bootstrap_soft",
    "bootstrap_hard",
    "filling_rate",
    "em_fixed",
    "attention_weighted",
    "box_masking",
]
"""What is learned from the labels: the noise-aware loss; cross-entropy on S, on all of Y_crf or of Y_ret; on S with
entropy regularization or bootstrapping elsewhere; the filling-rate guided loss of BCM on Y_crf, alone or with its
class-wise masks; EM-Fixed of WSSL on boxes; the attention-weighted loss of Box2Seg on boxes and Y_crf."""

LOSSES: tuple[Loss, ...] = get_args(Loss)

RATE_LOSSES: tuple[Loss, ...] = ("filling_rate", "attention_weighted", "box_masking")
"""Those that need the filling rates of labels."""

REGION_LOSSES: tuple[Loss, ...] = ("em_fixed", "attention_weighted", "box_masking")
"""Those that need to know which classes' boxes hold a pixel."""

WEIGHTED_LOSSES: tuple[Loss, ...] = ("y_crf", "y_ret", "agreed")
"""Those that can weigh classes."""

BRANCH_LOSSES: tuple[Loss, ...] = ("attention_weighted", "box_masking")
"""Those for which the network predicts one more map per class."""


class SegmentSettings(MagnifiedTrainingSettings):
    """How a segmentation network is built and trained: MagnifiedTrainingSettings, and these.

    Attributes:
        head: On the backbone: ``none`` (VGG-16 has fc6 and fc7), ``aspp`` (DeepLab-V2's dilated branches on the last
            map) or ``fuse`` (all maps of the backbone, cell by cell).
        head_width: Channels of the head's result; for ``none`` it has no meaning.
        loss: See Loss. For ``attention_weighted`` and ``box_masking`` the network gets a branch of its own.
        temperature: Factor on the cosines before the softmax.
        gamma: Damping of the confidence (Eq. 12).
        lam: Weight of the pixels on which the labels differ (Eq. 14), also of the other losses that have such a term.
        nal_mean: What the noise-aware loss takes means over: ``region`` (S and ~S apart, as in the paper) or ``pixel``.
        detach_confidence: Whether gradients stop at the confidence.
        class_weight: ``uniform``, or ``balanced``: a pixel weighs the inverse square root of the share of pixels that
            have its label. Only for the losses ``y_crf``, ``y_ret`` and ``agreed``.
        color_jitter: As in TrainingSettings; DeepLab has none.
        schedule: As in TrainingSettings; DeepLab's is ``poly``.
        epochs: As in TrainingSettings; the paper's are 45 for DeepLab-V1 and 20 for V2.
    """

    head: Literal["none", "aspp", "fuse"] = "none"
    head_width: Width = 256
    loss: Loss = "nal"
    temperature: Positive = 20.0
    gamma: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 7.0
    lam: NotNegative = 0.1
    nal_mean: Literal["region", "pixel"] = "region"
    detach_confidence: bool = False
    class_weight: Literal["uniform", "balanced"] = "uniform"
    color_jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    schedule: Schedule = "poly"
    epochs: Count = 45

    @model_validator(mode="after")
    def _check_class_weight(self) -> Self:
        if self.class_weight == "balanced" and self.loss not in WEIGHTED_LOSSES:
            raise ValueError(f"class_weight: balanced is for the losses {', '.join(WEIGHTED_LOSSES)}, not {self.loss}")
        return self

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        if self.start == "labeler" and self.head == "aspp":
            raise ValueError("start: a labeler has no aspp head; choose backbone, or another head")
        return self
