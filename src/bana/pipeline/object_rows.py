"""The rows of the paper's tables 2 and 6, on objects' masks, with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bana.instance.losses import MaskLoss

Labeler = Literal["own", "other"]
"""A labeler trained on the data set itself ("COCO-to-COCO"), or on one with other classes ("VOC-to-COCO")."""

Figures = tuple[float, float, float, float, float, float]
"""Mask AP, AP50, AP75 and that of small, medium and large objects, %."""

FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""Their names."""


@dataclass(frozen=True)
class ObjectRow:
    """Labels of objects, or a Mask R-CNN that was trained on them.

    Attributes:
        title: What the table calls it.
        method: The labels' ``bana label --method``; None stands for true masks.
        labeler: Which one the method uses.
        mask_loss: What the network's mask head learns (default: the recipe's).
        paper: Its figures; None where it has none.
    """

    title: str
    method: str | None
    labeler: Labeler = "own"
    mask_loss: MaskLoss | None = None
    paper: Figures | None = None

    @property
    def labels(self) -> str:
        """The name of the labels' folder."""
        return f"labels-{self.labeler}-{self.method}"


OBJECT_TABLES: dict[str, dict[str, ObjectRow]] = {
    "table2": {
        "other-bap": ObjectRow(
            "labeler of other data (VOC-to-COCO): Y_crf", "bap", "other", paper=(11.7, 28.7, 8.0, 3.0, 15.0, 27.1)
        ),
        "other-ret": ObjectRow("  Y_ret", "ret", "other", paper=(9.0, 30.1, 2.8, 4.4, 10.2, 16.2)),
        "other": ObjectRow("  what bana label writes", "labeler", "other"),
        "own-bap": ObjectRow(
            "labeler of this data (COCO-to-COCO): Y_crf", "bap", paper=(17.2, 40.5, 12.5, 5.9, 20.4, 32.2)
        ),
        "own-ret": ObjectRow("  Y_ret", "ret", paper=(17.2, 49.7, 7.6, 12.0, 17.1, 22.5)),
        "own": ObjectRow("  what bana label writes", "labeler"),
    },
    "table6": {
        "masks": ObjectRow("true masks (the ceiling)", None, paper=(35.7, 58.0, 37.8, 15.5, 38.1, 52.4)),
        "other": ObjectRow(
            "labeler of other data (VOC-to-COCO)", "labeler", "other", paper=(16.9, 38.2, 13.0, 7.3, 17.1, 26.5)
        ),
        "own": ObjectRow("labeler of this data (COCO-to-COCO)", "labeler", paper=(22.2, 47.1, 18.7, 11.2, 22.1, 31.4)),
        "all": ObjectRow("  unreliable pixels too", "labeler", mask_loss="all"),
        "noise_aware": ObjectRow("  these by the mask head's confidence", "labeler", mask_loss="noise_aware"),
        "box": ObjectRow("boxes as masks", "box"),
        "boxinst": ObjectRow("boxes by BoxInst's losses", "box", mask_loss="boxinst"),
    },
}
"""By table and the names of rows. The paper's are of MS-COCO: table 2 of the labels of train, table 6 of test."""
