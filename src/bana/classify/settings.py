"""The settings of stage 1; the defaults are the paper's recipe (DESIGN: SGD, 15 epochs, crop 321)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bana.data.records import MIN_BACKGROUND
from bana.nn.settings import Count, SizedTrainingSettings, Width


class ClassifySettings(SizedTrainingSettings):
    """How a box classifier is built and trained: SizedTrainingSettings, and these.

    Attributes:
        head_width: Channels of a head that fuses the backbone's maps. Without it, features are the backbone's last map.
        pooling: ``bap`` (Eq. 4), ``gap`` (Table 1's ablation: A = 0), or ``image``: whole images are classified, boxes
            only say which classes there are (for the method ``cam``).
        grid_size: N, background queries in each direction (Eq. 1).
        roi_bins: R, bins of a box in each direction; each is classified.
        min_background: Images with a smaller share of background, 0..1, pool without attention (A = 0). The recipe's;
            the paper's text has no such limit (0).
    """

    head_width: Width | None = None
    pooling: Literal["bap", "gap", "image"] = "bap"
    grid_size: Count = 4
    roi_bins: Count = 2
    min_background: Annotated[float, Field(ge=0, le=1)] = MIN_BACKGROUND

    @model_validator(mode="after")
    def _check_trained(self) -> Self:
        if self.train_backbone == "none" and self.head_width is None and self.backbone_weights == "random":
            raise ValueError("a random backbone that is not trained learns nothing; set train_backbone")
        return self
