"""``mcg``: the best segment of a hierarchical segmentation for every box (Table 1: MCG)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageFilter

from bana.data.records import BoolArray, FloatArray, IntArray
from bana.extras import needed
from bana.label.boxes import BoxedImage, Image

BLURS = (1.0, 2.0)
"""Standard deviations, in pixels, of the Gaussians that images are smoothed with before colors are compared."""

CRITERIA = ("area", "dynamics", "volume")
"""By what catchment basins are merged."""

PROPOSALS = 100
"""The most segments that a box is given to choose from."""

NEARLY_PARENT = 0.95
"""A segment that fills this share of the next larger one is not told apart from it."""

Proposals = tuple[int, BoolArray, npt.NDArray[np.float64]]
"""A box's number, its segments bool (M, h, w), and how well each one's tight box fits, float64 (M,)."""


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

    def proposals(self, image: Image, boxed: BoxedImage, count: int = PROPOSALS) -> Iterator[Proposals]:
        """The segments of each usable box whose tight boxes have the greatest IoU with it, for methods that choose.

        Segments that are nearly the next larger one of their hierarchy are left out (NEARLY_PARENT).

        Args:
            image: RGB uint8 (H, W, 3).
            boxed: Its boxes.
            count: The most segments of a box.

        Yields:
            A box's number, bool (M, h, w), the segments inside the box, best first, and float64 (M,), their IoU. None
            is empty, and there is at least one: the box itself if need be.
        """
        trees = self._hierarchies(image)
        kept = [(tree, *self._distinct(tree, boxed.size)) for tree in trees]
        for number in map(int, np.flatnonzero(boxed.usable)):
            place, box = boxed.places[number], boxed.inside[number]
            best = sorted(
                (-float(overlap), index, int(nodes[row]))
                for index, (_, nodes, corners) in enumerate(kept)
                for row, overlap in _greatest(_box_iou(corners, box), count)
            )[:count]
            masks = np.stack([_pixels(trees[index], node, boxed.size)[place] for _, index, node in best])
            masks &= boxed.inside_of(number)
            overlaps = -np.array([each[0] for each in best])
            seen = masks.any((1, 2))
            yield (number, masks[seen], overlaps[seen]) if seen.any() else (number, ~masks[:1], np.ones(1))

    def _distinct(self, tree: Any, size: tuple[int, int]) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """The nodes that are clearly smaller than their parents, and the root: (M,), and their tight boxes (M, 4)."""
        hg = self._hg
        rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
        least, most = hg.Accumulators.min, hg.Accumulators.max
        sides = ((columns, least), (rows, least), (columns + 1, most), (rows + 1, most))
        corners = np.stack([hg.accumulate_sequential(tree, each.ravel(), how) for each, how in sides], axis=1)
        area, parents = hg.attribute_area(tree), tree.parents()
        nodes = np.flatnonzero((area < NEARLY_PARENT * area[parents]) | (parents == np.arange(len(parents))))
        return nodes, corners[nodes]

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


def _greatest(values: npt.NDArray[np.float64], count: int) -> Iterator[tuple[int, float]]:
    """The places of the ``count`` greatest of (M,), and these; of equal ones the first."""
    return ((int(place), float(values[place])) for place in np.argsort(-values, kind="stable")[:count])


def _box_iou(boxes: npt.NDArray[np.float64], box: FloatArray) -> npt.NDArray[np.float64]:
    """IoU of boxes (M, 4) with one box (4,), all xyxy: (M,)."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = (high - low).clip(0).prod(1)
    iou: npt.NDArray[np.float64] = shared / (
        (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - shared
    )
    return iou


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
