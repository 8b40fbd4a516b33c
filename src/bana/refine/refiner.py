"""A trained refiner at work: the probability of "object" at each pixel of each box."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bana.data.records import FloatArray, pixel_slices
from bana.nn.crops import GRAY
from bana.nn.network import on_device
from bana.refine.model import REFINER, BoxRefiner
from bana.refine.settings import RefineSettings
from bana.refine.windows import cut_window, paste_map, windows_of

BATCH = 16
"""Windows that the network sees at once; with more, memory would grow with the number of boxes."""


@dataclass(frozen=True)
class BoxProbability:
    """What the refiner says of one box.

    Attributes:
        place: The rows and columns of the box's pixels.
        probability: float32 (h, w) in 0..1: that the pixel is the box's object.
    """

    place: tuple[slice, slice]
    probability: FloatArray


class Refiner:
    """Gives each box a mask of its own, as probabilities; it knows no classes.

    Args:
        model: The trained network.
        settings: How windows are cut.
        device: Where the network computes.
    """

    def __init__(self, model: BoxRefiner, settings: RefineSettings, device: str = "cpu") -> None:
        self.model = on_device(model.eval(), device)
        self.settings = settings
        self._device = device

    @classmethod
    def load(cls, file_or_run: str | PathLike[str], device: str = "cpu") -> Refiner:
        """Load the refiner of a labeler file or of a run folder of ``bana refine``.

        Raises:
            CheckpointError: If there is none, or it is damaged or of another kind.
            SettingsError: If the device cannot be had.
        """
        model, facts = REFINER.load(Path(file_or_run))
        return cls(model, facts.settings, device)

    def __call__(self, image: npt.NDArray[np.uint8], boxes: npt.ArrayLike) -> list[BoxProbability]:
        """The probabilities of every box.

        Args:
            image: uint8 (H, W, 3).
            boxes: (K, 4) xyxy in pixel-edge coordinates, inside the image and not empty.
        """
        side = self.settings.crop_size
        corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        windows = windows_of(corners, self.settings.context)
        found = []
        for begin in range(0, len(windows), BATCH):
            batch = windows[begin : begin + BATCH]
            pictures = np.stack([cut_window(image, window, side, GRAY) for window in batch])
            maps = self._maps(torch.from_numpy(pictures))
            for box, window, values in zip(corners[begin : begin + BATCH], batch, maps, strict=True):
                place = pixel_slices(box)
                found.append(BoxProbability(place, paste_map(values, window, side, place)))
        return found

    @torch.inference_mode()
    def _maps(self, pictures: Tensor) -> Tensor:
        """Probabilities (N, h, w) of windows, uint8 (N, S, S, 3), each seen as it is and mirrored."""
        images = pictures.permute(0, 3, 1, 2).to(self._device).float()
        logits = self.model(torch.cat([images, images.flip(-1)])).cpu()
        seen, mirrored = logits.chunk(2)
        probabilities: Tensor = ((seen + mirrored.flip(-1)) / 2).sigmoid()
        return probabilities
