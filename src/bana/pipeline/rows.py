"""The rows of the paper's tables 3 to 5, with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bana.segment.settings import Loss

Source = Literal["labels", "masks", "both"]

Figures = tuple[float | None, float | None]
"""mIoU on VOC 2012 val before and after the CRF, %; None where the paper gives none."""


@dataclass(frozen=True)
class Row:
    """One way to train a segmentation network.

    Attributes:
        title: What the table calls it.
        loss: What is learned from the labels.
        source: From ``labels``, from true ``masks`` alone (the ceiling), or from ``both``: masks where there are some.
    """

    title: str
    loss: Loss
    source: Source = "labels"


ROWS: dict[str, Row] = {
    "masks": Row("true masks (the ceiling)", "y_crf", "masks"),
    "y_crf": Row("Y_crf", "y_crf"),
    "y_ret": Row("Y_ret", "y_ret"),
    "agreed": Row("S alone (baseline)", "agreed"),
    "entropy": Row("S, entropy regularization", "entropy"),
    "bootstrap_soft": Row("S, bootstrapping (soft)", "bootstrap_soft"),
    "bootstrap_hard": Row("S, bootstrapping (hard)", "bootstrap_hard"),
    "filling_rate": Row("filling-rate loss (BCM)", "filling_rate"),
    "nal": Row("NAL", "nal"),
    "semi": Row("NAL, some true masks", "nal", "both"),
}
"""By the names of their folders."""

_V1_NAL: Figures = (62.4, 68.1)

TABLES: dict[str, dict[str, Figures]] = {
    "table3": {
        "masks": (None, None),
        "y_crf": (None, 67.8),
        "y_ret": (None, 66.1),
        "agreed": (61.8, 67.5),
        "entropy": (61.4, 67.3),
        "bootstrap_soft": (61.9, 67.6),
        "bootstrap_hard": (None, None),
        "filling_rate": (None, None),
        "nal": _V1_NAL,
    },
    "table4": {
        "y_crf": (None, 67.8),
        "y_ret": (None, 66.1),
        "nal": _V1_NAL,
        "semi": (None, 70.5),
        "masks": (None, None),
    },
    "table5": {
        "y_crf": (None, 74.0),
        "y_ret": (None, 72.4),
        "nal": (None, 74.6),
        "semi": (None, 78.7),
        "masks": (None, None),
    },
}
"""The rows of every table and the paper's figures: tables 3 and 4 for DeepLab-V1, table 5 for V2 with weights of
MS-COCO. The paper does not say which bootstrapping it compares with, and has no row for the filling-rate loss (its
footnote 5). ``semi`` uses the true masks of ``train``."""

PRESETS = {"table3": "vgg16", "table4": "vgg16", "table5": "resnet101"}
"""The recipe that each table is of."""
