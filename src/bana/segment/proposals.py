"""BoxSup's choice among the proposals of a box, given what the network predicts.

Dai, He and Sun, "BoxSup: Exploiting bounding boxes to supervise convolutional networks for semantic segmentation", ICCV
2015, section 3.2: the overlap objective E_o (Eq. 2), the regression objective E_r (Eq. 3), and their sum (Eq. 4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bana.data.records import BoolArray, FloatArray

Costs = npt.NDArray[np.float64]
"""A number for each proposal of a box, float64 (M,)."""

LAM = 3.0
"""Weight of the regression objective, the paper's."""

TOP = 5
"""The k of the paper: one of so many best proposals is drawn."""

_MIN_PROBABILITY = 1e-6
"""Stands for a probability of 0, whose logarithm would hide all other pixels."""


def proposal_costs(
    masks: BoolArray, overlaps: Costs, of_class: FloatArray, of_background: FloatArray, lam: float = LAM
) -> Costs:
    """The cost E_o + lam * E_r of each proposal of a box (Eq. 2 to 4).

    E_o is 1 - IoU. E_r is the mean over the box's pixels of the network's -log p of what the proposal makes of them:
    the box's class on the proposal, background beside it. The paper sums over pixels; the mean makes boxes of all sizes
    alike.

    Args:
        masks: bool (M, h, w), the proposals inside the box.
        overlaps: float64 (M,), IoU of the box with the proposal's tight box.
        of_class: (h, w) in 0..1, the network's probability of the box's class.
        of_background: (h, w) in 0..1, that of the background.
        lam: Weight of E_r.

    Returns:
        float64 (M,).
    """
    object_loss, background_loss = (
        -np.log(np.maximum(each, _MIN_PROBABILITY)).astype(np.float64).ravel() for each in (of_class, of_background)
    )
    rows = masks.reshape(len(masks), -1)
    regression = (rows @ (object_loss - background_loss) + background_loss.sum()) / max(rows.shape[1], 1)
    costs: Costs = (1 - overlaps) + lam * regression
    return costs


def drawn_proposal(costs: Costs, generator: np.random.Generator, top: int = TOP) -> int:
    """One of the ``top`` cheapest proposals, drawn at random, all alike (section 3.2).

    Args:
        costs: (M,), M at least 1.
        generator: Draws it.
        top: How many take part.
    """
    cheapest = np.argsort(costs, kind="stable")[:top]
    return int(generator.choice(cheapest))
