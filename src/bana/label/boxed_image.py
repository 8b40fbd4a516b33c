"""One image with its boxes, checked, and the pixel regions that follow from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bana.data.records import paint_order, pixel_slices
from bana.errors import DataError


class BoxedImage:
    """The arguments of a labeler, checked.

    Args:
        image: uint8 (H, W, 3), RGB.
        boxes: (K, 4) xyxy in pixel-edge coordinates.
        class_ids: (K,), each in 1..L.
        crowd: bool (K,) or None: boxes that are not labeled.
        ignored: bool (H, W) or None: pixels that are neither known object nor known background.
        classes: L.

    Attributes:
        size: (H, W).
        boxes: float32 (K, 4).
        inside: float32 (K, 4), the boxes cut at the image's edges.
        class_ids: int64 (K,).
        usable: bool (K,): no crowd, and some area inside the image.
        regions: bool (K, H, W): the pixels of every usable box, nothing for the others.
        ignored: bool (H, W).
        background_mask: bool (H, W): definite background.

    Raises:
        DataError: If an argument has another shape, type or range.
    """

    def __init__(
        self,
        image: npt.NDArray[np.uint8],
        boxes: npt.ArrayLike,
        class_ids: npt.ArrayLike,
        crowd: npt.ArrayLike | None,
        ignored: npt.NDArray[np.bool_] | None,
        classes: int,
    ) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise DataError(f"image: is {image.dtype} {image.shape}; give uint8 (height, width, 3) RGB")
        self.size: tuple[int, int] = (image.shape[0], image.shape[1])
        self.boxes, self.class_ids = _checked_boxes(boxes, class_ids, classes)
        is_crowd = np.zeros(len(self.class_ids), bool) if crowd is None else np.asarray(crowd, dtype=bool)
        self.ignored = np.zeros(self.size, bool) if ignored is None else np.asarray(ignored, dtype=bool)
        if is_crowd.shape != self.class_ids.shape or self.ignored.shape != self.size:
            raise DataError(
                f"crowd: has shape {is_crowd.shape} and ignored {self.ignored.shape}; "
                f"give {self.class_ids.shape} and {self.size}"
            )
        self.inside = inside = _clipped(self.boxes, self.size)
        self.usable = ~is_crowd & (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
        self.regions = torch.zeros(len(inside), *self.size, dtype=torch.bool)
        for number in np.flatnonzero(self.usable):
            self.regions[(int(number), *pixel_slices(inside[number]))] = True
        self.background_mask: Tensor = ~(self.regions.any(0) | torch.from_numpy(self.ignored))

    def of_class(self, class_id: int) -> Tensor:
        """The regions of one class: bool (K_c, H, W)."""
        return self.regions[torch.from_numpy(self.usable & (self.class_ids == class_id))]

    def paint_order(self) -> list[int]:
        """The usable boxes in painting order."""
        return [number for number in paint_order(self.boxes) if self.usable[number]]


def _checked_boxes(
    boxes: npt.ArrayLike, class_ids: npt.ArrayLike, classes: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    try:
        numbers = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        ids = np.asarray(class_ids, dtype=np.int64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"boxes: not numbers of shape (K, 4) with class ids of shape (K,) ({error}); correct them"
        ) from error
    if len(numbers) != len(ids):
        raise DataError(f"boxes: {len(numbers)} boxes but {len(ids)} class ids; give one class id a box")
    for number, (box, class_id) in enumerate(zip(numbers, ids, strict=True)):
        if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            raise DataError(f"boxes: box {number} is {box.tolist()}; give finite x0 < x1 and y0 < y1 in pixels")
        if not 1 <= class_id <= classes:
            raise DataError(f"class_ids: box {number} has class {class_id}; give 1 to {classes}")
    return numbers, ids


def _clipped(boxes: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    height, width = size
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float32))
