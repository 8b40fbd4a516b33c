"""From an image without boxes to its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torchvision.models.detection.roi_heads import paste_masks_in_image

from bana.data.images import AnyImage, as_rgb
from bana.data.pixel_values import BY_TYPE
from bana.data.records import BoolArray, ClassTable, FloatArray
from bana.instance.model import DETECTOR, InstanceNetwork
from bana.nn.network import network_input, on_device
from bana.presets import Settings

_MASK_THRESHOLD = 0.5


class DetectSettings(Settings):
    """How objects are found.

    Attributes:
        image_side: Longer side, in pixels, to which images are scaled for the network (default: as in training).
        min_score: Objects with a smaller score are left out.
        most: Most objects per image; those with the greatest scores are kept.
    """

    image_side: Annotated[int, Field(ge=33, le=8192)] | None = None
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.05
    most: Annotated[int, Field(ge=1)] = 100


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects of an image, best first.

    Attributes:
        boxes: float32 (D, 4) xyxy in pixel-edge coordinates of the image.
        class_ids: int64 (D,), 1..L.
        scores: float32 (D,), 0..1.
        masks: bool (D, H, W).
    """

    boxes: FloatArray
    class_ids: npt.NDArray[np.int64]
    scores: FloatArray
    masks: BoolArray


class Detector:
    """Finds objects in images.

    ``Detector.load(run)`` makes one. Call it with an image to get Detections.

    Args:
        network: The trained network; it is switched to inference.
        classes: The L names of its classes.
        settings: How objects are found.

    Attributes:
        network: As given.
        class_table: The classes.
        settings: As given.
        values: How image files are read: as those that a loaded detector learned from.
    """

    values = BY_TYPE

    def __init__(
        self, network: InstanceNetwork, classes: Sequence[str], settings: DetectSettings | None = None
    ) -> None:
        self.network = network.eval()
        self.class_table = ClassTable(tuple(classes))
        self.settings = settings or DetectSettings()
        network.roi_heads.score_thresh = self.settings.min_score
        network.roi_heads.detections_per_img = self.settings.most

    @classmethod
    def load(
        cls, file_or_run: str | PathLike[str], settings: DetectSettings | None = None, device: str = "cpu"
    ) -> Detector:
        """Load a detector file, or the one in a run folder of ``bana segment --task instance``.

        Args:
            file_or_run: A ``detector.safetensors``, or the folder that holds it.
            settings: How objects are found.
            device: Where the network runs.

        Raises:
            CheckpointError: If there is none, or it is damaged or of another kind.
        """
        network, facts = DETECTOR.load(Path(file_or_run))
        settings = settings or DetectSettings()
        if settings.image_side is None:
            settings = settings.model_copy(update={"image_side": facts.settings.image_side})
        detector = cls(on_device(network, device), facts.classes, settings)
        detector.values = facts.values
        return detector

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: ``classes[i]`` is class id i + 1."""
        return self.class_table.names

    @torch.inference_mode()
    def __call__(self, image: AnyImage) -> Detections:
        """Find the objects of an image.

        Args:
            image: A path, a PIL image, or an array in RGB order, as for a labeler; see ``bana.data.images.as_rgb``.

        Raises:
            DataError: If the image cannot be used.
        """
        photograph = as_rgb(image, self.values)
        height, width = photograph.shape[:2]
        side = self.settings.image_side or round(max(height, width) * self.network.magnification)
        pixels = network_input(photograph, side, self.network.backbone.info.multiple)
        (found,) = self.network(pixels.to(next(self.network.parameters()).device))
        factor = torch.tensor([width / pixels.shape[3], height / pixels.shape[2]] * 2)
        boxes = found["boxes"].cpu() * factor
        masks = [
            paste_masks_in_image(mask[None], box[None], (height, width))[0, 0] > _MASK_THRESHOLD
            for mask, box in zip(found["masks"].cpu(), boxes, strict=True)
        ]
        return Detections(
            boxes.numpy(),
            found["labels"].cpu().numpy(),
            found["scores"].cpu().numpy(),
            torch.stack(masks).numpy() if masks else np.zeros((0, height, width), dtype=bool),
        )
