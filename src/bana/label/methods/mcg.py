"""``mcg``: the best segment of a hierarchical segmentation for every box (Table 1: MCG)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageFilter

from bana.data.records import BoolArray
from bana.extras import needed
from bana.label.method import BoxedImage, Image

BLURS = (1.0, 2.0)
"""Standard deviations, in pixels, of the Gaussians that images are smoothed with before colors are compared."""

CRITERIA = ("area", "dynamics", "volume")
"""By what catchment basins are merged."""


class BestSegment:
    """Takes the node of several watershed hierarchies whose IoU with the box is greatest, as the paper does with MCG.

    It differs from MCG (Pont-Tuset et al., 2017) in three points. Edges are color differences, not a contour detector
    that was trained on contours drawn by hand. Hierarchies of several criteria replace several scales. Proposals are
    single regions, not pairs, triplets and quadruplets of them ranked by a trained regressor.

    Raises:
        SettingsError: If Higra is not installed.
    """

    def __init__(self) -> None:
        self._hg = needed("higra", "mcg", "method mcg")

    def __call__(self, image: Image, boxed: BoxedImage) -> tuple[list[BoolArray], None]:
        """The masks of all boxes, each bool (h, w) of the box's pixels, with full confidence."""
        parts = boxed.empty_parts()
        usable = np.flatnonzero(boxed.usable)
        if not len(usable):
            return parts, None
        best = np.full(len(usable), -1.0)
        for tree in self._hierarchies(image):
            for index, number in enumerate(usable):
                overlap = self._iou(tree, boxed.region(int(number)))
                node = int(overlap.argmax())
                if overlap[node] > best[index]:
                    best[index] = overlap[node]
                    parts[number] = _pixels(tree, node, boxed.size)[boxed.places[number]]
        return parts, None

    def _hierarchies(self, image: Image) -> list[Any]:
        """Trees whose leaves are the pixels and whose nodes are regions."""
        hg = self._hg
        graph = hg.get_4_adjacency_graph(image.shape[:2])
        make = {name: getattr(hg, f"watershed_hierarchy_by_{name}") for name in CRITERIA}
        trees = []
        for blur in BLURS:
            weights = hg.weight_graph(graph, _smoothed(image, blur), hg.WeightFunction.L2)
            trees += [make[name](graph, weights)[0] for name in CRITERIA]
        return trees

    def _iou(self, tree: Any, region: BoolArray) -> npt.NDArray[np.float64]:
        """IoU of every node with a region, bool (H, W): (nodes,)."""
        hg = self._hg
        inside = hg.accumulate_sequential(tree, region.ravel().astype(np.float64), hg.Accumulators.sum)
        overlap: npt.NDArray[np.float64] = inside / (hg.attribute_area(tree) + region.sum() - inside)
        return overlap


def _pixels(tree: Any, node: int, size: tuple[int, int]) -> BoolArray:
    """The leaves below a node, as bool (H, W)."""
    below, origin = tree.sub_tree(node)
    mask = np.zeros(size, dtype=bool)
    mask.reshape(-1)[origin[: below.num_leaves()]] = True
    return mask


def _smoothed(image: Image, blur: float) -> npt.NDArray[np.float64]:
    """The image after a Gaussian of so many pixels: float64 (H, W, 3)."""
    smooth = PillowImage.fromarray(image).filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(smooth, dtype=np.float64)
