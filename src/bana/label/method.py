"""The interface of every labeling method: an image with its boxes, checked, becomes PseudoLabels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from bana.data.images import AnyImage, as_rgb
from bana.data.paths import join_names
from bana.data.pixel_values import BY_TYPE
from bana.data.records import BoolArray, ClassTable
from bana.errors import DataError
from bana.label.boxes import BoxedImage, Image, LastMask, Oriented, Points
from bana.label.pseudo_labels import PseudoLabels


class LabelingMethod(ABC):
    """Labels images from their boxes. A Labeler is one.

    Attributes:
        class_table: The classes that ``class_ids`` refer to.
        values: How image files are read: for a loaded labeler, as those that it learned from.
        looks_beyond_boxes: Whether labels come from the classes of the whole image, which cannot be cut into tiles.
    """

    class_table: ClassTable
    values = BY_TYPE
    looks_beyond_boxes = False

    @property
    def uses_last(self) -> bool:
        """Whether masks of the last frame of a video make a difference."""
        return False

    def __call__(
        self,
        image: AnyImage,
        boxes: npt.ArrayLike,
        class_ids: npt.ArrayLike | Sequence[str],
        *,
        crowd: npt.ArrayLike | None = None,
        ignored: BoolArray | None = None,
        oriented: Oriented = (),
        points: Points = (),
        last: Sequence[LastMask | None] = (),
    ) -> PseudoLabels:
        """Label one image.

        Args:
            image: A path, a PIL image, or an array: uint8 (H, W, 3) in RGB order (OpenCV reads BGR: give
                ``image[..., ::-1]``), also gray (H, W), RGBA (H, W, 4) or 16-bit. See ``bana.data.images.as_rgb``.
            boxes: (K, 4) xyxy in pixel-edge coordinates of the image; K may be 0.
            class_ids: (K,), each 1..L or a name of ``class_table``.
            crowd: bool (K,): boxes of crowd regions, which are not labeled.
            ignored: bool (H, W): pixels that are neither known object nor known background. They get the ignore label
                where no object is found on them.
            oriented: K times the corners [x0, y0, ..., x3, y3] of a turned rectangle, or None: what of a box lies
                outside its rectangle is background. Empty: no box has one.
            points: K times the points (x, y, is_object) that a person set in the box, in pixel-edge coordinates: on
                its object (true, 1), or beside it (false, 0). Only a Labeler uses them. Empty: no box has any.
            last: K masks of the objects on the last frame of a video (the ``instances`` of its labels), None for an
                object that is not on it. Empty: the image is no frame, or the first. Only a method that
                ``uses_last`` looks at them.

        Raises:
            DataError: If an argument has another shape, type or range, or a class is not known.
        """
        pixels = as_rgb(image, self.values)
        ids = _numbered(class_ids, self.class_table.names)
        more = (oriented, points, last)
        boxed = BoxedImage(pixels, boxes, ids, crowd, ignored, len(self.class_table), *more)
        return self.label_boxed(pixels, boxed)

    @abstractmethod
    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image, RGB uint8 (H, W, 3), whose boxes are checked."""


def _numbered(class_ids: npt.ArrayLike | Sequence[str], names: tuple[str, ...]) -> npt.ArrayLike:
    """Class ids as they are, class names as their ids. Raises DataError for a name that is not among ``names``."""
    try:
        given = np.asarray(class_ids).reshape(-1)
    except ValueError as error:
        raise DataError(f"class_ids: not one class id or name per box ({error}); correct them") from error
    return [_class_id(str(name), names) for name in given] if given.dtype.kind == "U" else given


def _class_id(name: str, names: tuple[str, ...]) -> int:
    if name in names:
        return names.index(name) + 1
    folded = {known.casefold(): known for known in names}
    close = [folded[each] for each in get_close_matches(name.casefold(), folded)]
    remedy = f"did you mean {' or '.join(map(repr, close))}?" if close else f"choose one of {join_names(names)}"
    raise DataError(f"class_ids: there is no class {name!r:.200}; {remedy}")
