"""The labels of one image."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from bana.data.images import AnyImage, as_rgb
from bana.data.label_maps import LabelMap, voc_palette, write_label_map
from bana.data.masks import mask_bounds
from bana.data.paths import checked_name
from bana.data.records import ClassTable
from bana.errors import DataError
from bana.label import output

Status = Literal["ok", "empty", "rejected"]


@dataclass(frozen=True, eq=False)
class Instance:
    """The mask of one input box.

    Attributes:
        box: float32 (4,) xyxy as it was given.
        class_id: 1..L as it was given.
        size: (H, W) of the image, in pixels.
        place: Row and column slices of the box's pixels; of none where it has no area inside the image.
        part: bool (h, w), True on the object: the mask at ``place``, outside of which there is none.
        status: ``ok``; ``empty`` if no pixel of the box was labeled with its class; ``rejected`` if the box was not
            labeled at all (a crowd region, or a box without area inside the image).
        confidence: Mean pixel confidence over the box, 0..1.
        agreement: Share of the box's pixels on which Y_crf and Y_ret agree, 0..1.
        filling_rate: Share of the box's pixels that the mask covers, 0..1.
        predicted_class: The class that the classifier gives the box, 1..L (0: background, None: it has no say).
        expected_iou: The IoU that the mask is expected to have with the true one, 0..1; None without a refiner.
    """

    box: npt.NDArray[np.float32]
    class_id: int
    size: tuple[int, int]
    place: tuple[slice, slice]
    part: npt.NDArray[np.bool_]
    status: Status
    confidence: float
    agreement: float
    filling_rate: float
    predicted_class: int | None = None
    expected_iou: float | None = None

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The object's pixels: bool (H, W), made anew at each call."""
        mask = np.zeros(self.size, dtype=bool)
        mask[self.place] = self.part
        return mask

    @property
    def score(self) -> float:
        """How sure the mask is, for ranking: ``expected_iou``, or ``confidence`` where nothing is expected."""
        return self.confidence if self.expected_iou is None else self.expected_iou

    @property
    def tight_box(self) -> npt.NDArray[np.float32] | None:
        """The tight box of the mask: float32 (4,) xyxy, or None if the mask is empty."""
        if not self.part.any():
            return None
        rows, columns = self.place
        corner = np.array([columns.start, rows.start], dtype=np.float32)
        return mask_bounds(self.part) + np.tile(corner, 2)


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """The labels of one image.

    Attributes:
        y_crf: uint8 or uint16 (H, W): class of every pixel from the CRF (Eq. 5 to 7), ignore label on crowd regions.
        y_ret: The same from retrieval with prototypes (Eq. 8, 9).
        confidence: float32 (H, W) in 0..1: the CRF marginal of the label in ``y_crf``.
        instances: One per input box, in input order.
        class_table: The classes.
    """

    y_crf: LabelMap
    y_ret: LabelMap
    confidence: npt.NDArray[np.float32]
    instances: tuple[Instance, ...]
    class_table: ClassTable

    @property
    def mask(self) -> LabelMap:
        """The class of every pixel, 0 for background: ``y_crf``."""
        return self.y_crf

    @property
    def ignore_index(self) -> int:
        """The label of pixels that count for nothing: 255 or 65535."""
        return self.class_table.ignore_index

    @property
    def agreement(self) -> npt.NDArray[np.bool_]:
        """Where both labels are the same and not the ignore label (the paper's S): bool (H, W)."""
        agreement: npt.NDArray[np.bool_] = (self.y_crf == self.y_ret) & (self.y_crf != self.ignore_index)
        return agreement

    @property
    def agreed(self) -> LabelMap:
        """``y_crf`` with the ignore label wherever the two labels differ."""
        return np.where(self.agreement, self.y_crf, self.ignore_index).astype(self.y_crf.dtype)

    def save(self, path: str | PathLike[str], image_id: str = "image") -> None:
        """Write the mask as a PNG, or all labels as ``bana label`` writes them.

        Args:
            path: A file that ends in ``.png`` gets the mask with VOC's palette. Anything else is a folder. It gets
                ``labels.json``, PNGs in ``y_crf``, ``y_ret``, ``agreed`` and ``confidence``, and a JSON file in
                ``instances``; several images may share a folder.
            image_id: Name of the image's files in the folder.

        Raises:
            DataError: If ``image_id`` would leave the folder.
            OutputError: If a file cannot be written, or the folder holds other labels.
        """
        path = Path(path)
        if path.suffix.lower() == ".png":
            write_label_map(path, self.y_crf)
            return
        manifest = output.manifest_of({"name": "python"}, self.class_table)
        output.write_manifest(path, manifest)
        output.write_labels(path, checked_name(image_id, "image_id"), self, manifest["labeling"])

    def plot(self, image: AnyImage | None = None) -> Image.Image:
        """Draw the mask in VOC's colors, over the photograph if it is given. Notebooks show the result.

        Args:
            image: The photograph: a path, a PIL image, or an RGB, gray or RGBA array, as for a labeler.

        Raises:
            DataError: If the photograph cannot be read or has another size.
        """
        colors = voc_palette()[self.mask & 255]
        if image is None:
            return Image.fromarray(colors)
        photograph = as_rgb(image)
        if photograph.shape != colors.shape:
            raise DataError(f"image: has shape {photograph.shape}; give the labeled image, {colors.shape}")
        labeled = (self.mask != 0) & (self.mask != self.ignore_index)
        mixed = (photograph.astype(np.uint16) + colors) // 2
        return Image.fromarray(np.where(labeled[..., None], mixed, photograph).astype(np.uint8))
