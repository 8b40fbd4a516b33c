"""What labeling one image gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap

Status = Literal["ok", "empty", "rejected"]


@dataclass(frozen=True, eq=False)
class Instance:
    """The mask of one input box.

    Attributes:
        box: float32 (4,) xyxy as it was given.
        class_id: 1..L as it was given.
        mask: bool (H, W), True on the object; never outside the box.
        status: ``ok``; ``empty`` where no pixel of the box was labeled with its class; ``rejected`` where the box was
            not labeled at all (a crowd region, or a box without area inside the image).
        confidence: Mean pixel confidence over the box, 0..1.
        agreement: Share of the box's pixels on which Y_crf and Y_ret agree, 0..1.
        filling_rate: Share of the box's pixels that the mask covers, 0..1.
        predicted_class: The class that the classifier gives the box, 1..L (0: background, None: it has no say).
    """

    box: npt.NDArray[np.float32]
    class_id: int
    mask: npt.NDArray[np.bool_]
    status: Status
    confidence: float
    agreement: float
    filling_rate: float
    predicted_class: int | None = None


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """The labels of one image.

    Attributes:
        y_crf: uint8 or uint16 (H, W): class of every pixel from the CRF (Eq. 5 to 7), ignore label on crowd regions.
        y_ret: The same from retrieval with prototypes (Eq. 8, 9).
        confidence: float32 (H, W) in 0..1: the CRF marginal of the label in ``y_crf``.
        instances: One per input box, in input order.
        ignore_index: The label that counts for nothing, 255 or 65535.
    """

    y_crf: LabelMap
    y_ret: LabelMap
    confidence: npt.NDArray[np.float32]
    instances: tuple[Instance, ...]
    ignore_index: int = 255

    @property
    def agreement(self) -> npt.NDArray[np.bool_]:
        """Where both labels are the same and none is the ignore label (the paper's S): bool (H, W)."""
        agreement: npt.NDArray[np.bool_] = (self.y_crf == self.y_ret) & (self.y_crf != self.ignore_index)
        return agreement

    @property
    def agreed(self) -> LabelMap:
        """``y_crf`` with the ignore label wherever the two labels differ."""
        return np.where(self.agreement, self.y_crf, self.ignore_index).astype(self.y_crf.dtype)
