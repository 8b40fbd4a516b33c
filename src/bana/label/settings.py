"""The settings of stage 2; the defaults are the recipe that gave the paper's numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bana.nn.crf_settings import CRFSettings
from bana.nn.inference import WorkPrecision
from bana.presets import Settings


class LabelSettings(Settings):
    """How a trained classifier labels an image.

    Attributes:
        u0: The background's unary: ``attention`` (Eq. 7) or ``cam`` (Table 1: "w/o u_0").
        grid_size: N, background queries in each direction for A (Eq. 1); the paper found 1 best.
        attention_threshold: t; A is set to 0 where it is below t times its maximum over the image. 0 keeps it as it is.
        cam_norm: A CAM is divided by its maximum inside each ``box``, or over the image (``class``).
        similarity_at: Cosines are taken at ``image`` resolution (as if features were upsampled) or at ``feature``
            resolution and then upsampled.
        image_side: Longer side, in pixels, to which images are scaled for the network (None: not scaled).
        low_level: Weight of the backbone's finest map beside f wherever features are compared (``concat_low_level``); 1
            counts as much as f, 0 is the paper's way.
        precision: Number type in which the networks compute (``bana.nn.inference``); ``float32`` gives the same labels
            on all processors, to rounding.
        crf: The fully connected CRF.
        refined_iterations: Updates of the CRF where a refiner is at work, which leaves it less to decide.
        refinements: How often Y_crf is made anew, with retrieval by its own prototypes (Eq. 8 and 9) as unaries. 0 is
            the paper's way.
        refinement_scale: What the cosines are multiplied by for that: greater trusts them more, and colors less.
        tightness: Least share of a box's rows and columns, 0..1, that its object shall reach into; where it does not,
            its class is raised in the empty ones and the CRF runs again. 0 is the paper's way. A refiner has learned to
            reach, and where a box is loose it does better alone: with one at work this does nothing.
        instance_aware: Whether a pixel in several boxes of its class belongs to one of them (``divided_masks``), or to
            all as in the paper.
        refine: Whether to combine the labels with those of the labeler's refiner, where it has one. False is the
            paper's way.
        labeler_share: Weight of the labeler beside its refiner, 0..1, where both give a box the same mask; it falls
            with the IoU of the two.
    """

    u0: Literal["attention", "cam"] = "attention"
    grid_size: Annotated[int, Field(ge=1, le=8)] = 1
    attention_threshold: Annotated[float, Field(ge=0, le=1)] = 0.99
    cam_norm: Literal["box", "class"] = "box"
    similarity_at: Literal["image", "feature"] = "image"
    image_side: Annotated[int, Field(ge=33, le=8192)] | None = None
    low_level: Annotated[float, Field(ge=0, le=100)] = 0.0
    precision: WorkPrecision = "auto"
    crf: CRFSettings = CRFSettings()
    refined_iterations: Annotated[int, Field(ge=0, le=100)] = 5
    refinements: Annotated[int, Field(ge=0, le=10)] = 0
    refinement_scale: Annotated[float, Field(gt=0, le=100)] = 4.0
    tightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    instance_aware: bool = False
    refine: bool = False
    labeler_share: Annotated[float, Field(ge=0, le=1)] = 0.5

    def with_options(self, **options: Any) -> LabelSettings:
        """The same settings with some changed, checked again."""
        return LabelSettings.model_validate(self.model_dump() | options)
