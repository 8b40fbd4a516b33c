"""What all ways to label have in common: called with an image and its boxes, they give PseudoLabels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from bana.data.records import BoolArray, ClassTable
from bana.label.boxed_image import BoxedImage
from bana.label.pseudo_labels import PseudoLabels

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB."""


class LabelingMethod(ABC):
    """A way to label images from their boxes; a Labeler is one.

    Attributes:
        class_table: The classes that ``class_ids`` refer to.
    """

    class_table: ClassTable

    def __call__(
        self,
        image: Image,
        boxes: npt.ArrayLike,
        class_ids: npt.ArrayLike,
        *,
        crowd: npt.ArrayLike | None = None,
        ignored: BoolArray | None = None,
    ) -> PseudoLabels:
        """Label one image.

        Args:
            image: uint8 (H, W, 3), RGB.
            boxes: (K, 4) xyxy in pixel-edge coordinates of the image; K may be 0.
            class_ids: (K,), each in 1..L of ``class_table``.
            crowd: bool (K,): boxes of crowd regions, which are not labeled.
            ignored: bool (H, W): pixels that are neither known object nor known background. Where no object is found
                on them they get the ignore label.

        Raises:
            DataError: If an argument has another shape, type or range.
        """
        return self.label_boxed(image, BoxedImage(image, boxes, class_ids, crowd, ignored, len(self.class_table)))

    @abstractmethod
    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image, uint8 (H, W, 3), whose boxes are checked."""
