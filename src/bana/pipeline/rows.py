"""The rows of the paper's tables 3 to 5, with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bana.segment.settings import Loss

Source = Literal["labels", "masks", "both"]

Update = Literal["sdi", "boxsup"]
"""What makes new labels of a network's predictions: the rules of Simple Does It, or BoxSup's choice of proposals."""

Figures = tuple[float | None, float | None]
"""mIoU on VOC 2012 val before and after the CRF, %; None where the paper gives none."""


@dataclass(frozen=True)
class Row:
    """One way to train a segmentation network.

    Attributes:
        title: What the table calls it.
        loss: What is learned from the labels.
        source: From ``labels``, from true ``masks`` alone (the ceiling), or from ``both``: masks where there are some.
        method: The labels' ``bana label --method`` (default: those of the recipe).
        update: What makes new labels after each round of training but the last.
        rounds: How many networks are trained one after the other, each from the start; the last one counts.
    """

    title: str
    loss: Loss
    source: Source = "labels"
    method: str | None = None
    update: Update | None = None
    rounds: int = 1

    @property
    def labels(self) -> str:
        """The name of the folder of the first labels."""
        return "labels" if self.method is None else f"labels-{self.method}"


ROWS: dict[str, Row] = {
    "masks": Row("true masks (the ceiling)", "y_crf", "masks"),
    "y_crf": Row("Y_crf", "y_crf"),
    "y_ret": Row("Y_ret", "y_ret"),
    "agreed": Row("S alone (baseline)", "agreed"),
    "entropy": Row("S, entropy regularization", "entropy"),
    "bootstrap_soft": Row("S, bootstrapping (soft)", "bootstrap_soft"),
    "bootstrap_hard": Row("S, bootstrapping (hard)", "bootstrap_hard"),
    "filling_rate": Row("filling-rate loss (BCM)", "filling_rate"),
    "em_fixed": Row("EM-Fixed on boxes (WSSL)", "em_fixed"),
    "attention_weighted": Row("attention-weighted loss (Box2Seg)", "attention_weighted"),
    "box_masking": Row("class-wise masks, filling rate (BCM)", "box_masking"),
    "nal": Row("NAL", "nal"),
    "semi": Row("NAL, some true masks", "nal", "both"),
    "boxsup": Row("BoxSup: mcg, updated", "y_crf", method="mcg", update="boxsup", rounds=3),
    "wssl": Row("WSSL: Bbox-Seg", "y_crf", method="wssl"),
    "wssl_em": Row("WSSL: Bbox-EM-Fixed", "em_fixed", method="box"),
    "sdi": Row("SDI: mcg and grabcut", "agreed", method="sdi"),
    "sdi_recursive": Row("SDI: boxes, recursive", "agreed", method="box", update="sdi", rounds=3),
    "bcm": Row("BCM: wssl, masks", "box_masking", method="wssl"),
    "box2seg": Row("Box2Seg's loss (theirs: UPerNet)", "attention_weighted", method="grabcut"),
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
        "em_fixed": (None, None),
        "attention_weighted": (None, None),
        "box_masking": (None, None),
        "nal": _V1_NAL,
    },
    "table4": {
        "boxsup": (None, 62.0),
        "wssl": (None, 60.6),
        "wssl_em": (None, None),
        "sdi": (None, 65.7),
        "sdi_recursive": (None, None),
        "bcm": (None, 66.8),
        "y_crf": (None, 67.8),
        "y_ret": (None, 66.1),
        "nal": _V1_NAL,
        "semi": (None, 70.5),
        "masks": (None, None),
    },
    "table5": {
        "sdi": (None, 74.2),
        "bcm": (None, 70.2),
        "box2seg": (None, 76.4),
        "y_crf": (None, 74.0),
        "y_ret": (None, 72.4),
        "nal": (None, 74.6),
        "semi": (None, 78.7),
        "masks": (None, None),
    },
}
"""The rows of every table and the paper's figures: tables 3 and 4 for DeepLab-V1, table 5 for V2 with weights of
MS-COCO. The paper does not say which bootstrapping it compares with. Table 3 has no row there for the losses of WSSL,
Box2Seg and BCM (its footnote 5 names the last two); here they learn from our labels. In tables 4 and 5 the methods of
others learn from labels made as theirs were, as far as that is possible, and the figures are theirs as the paper prints
them. It prints one a method, which stands beside the method's best variant: Bbox-Seg of WSSL, MCG and GrabCut of SDI.
The variants that train by EM and in rounds have none. ``box2seg`` is a stand-in: theirs is UPerNet, not DeepLab.
``semi`` uses the true masks of ``train``."""

PRESETS = {"table1": "vgg16", "table3": "vgg16", "table4": "vgg16", "table5": "resnet101"}
"""The recipe that each table is of."""
