"""A trained refiner at work: the probability of "object" at each pixel of each box."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bana.data.records import FloatArray, pixel_slices
from bana.nn.crops import GRAY
from bana.nn.inference import at_work
from bana.nn.network import on_device
from bana.refine.model import REFINER, BoxRefiner
from bana.refine.settings import RefineSettings
from bana.refine.windows import cut_window, paste_map, windows_of

BATCH = 32
"""Pictures that the network sees at once; with more, memory would grow with the number of boxes."""

MIRRORED = 500
"""Most boxes of an image whose windows are seen mirrored too, for slightly better masks in twice the time."""


LOOSER = 1.03
"""Sides of the box that a window is cut for, in sides of the given one. Training loosens boxes, so objects are taken to
end a little before their boxes do; of a small object that is its outermost row of pixels."""


class BoxProbability(Protocol):
    """The probability, at each pixel of a box, that it is the box's object."""

    @property
    def place(self) -> tuple[slice, slice]:
        """The rows and columns of the box's pixels."""

    def at(self, place: tuple[slice, slice]) -> FloatArray:
        """The probabilities at some rows and columns of the image: float32 (h, w) in 0..1."""


@dataclass(frozen=True)
class WindowProbability:
    """What the refiner says of one box, kept as the network's map of its window: a box may be large.

    Attributes:
        place: The rows and columns of the box's pixels.
        values: float32 (n, n) in 0..1.
        window: float64 (4,) xyxy in pixel-edge coordinates of the image.
        side: S, the window's side as the network saw it.
    """

    place: tuple[slice, slice]
    values: Tensor
    window: FloatArray
    side: int

    def at(self, place: tuple[slice, slice]) -> FloatArray:
        """The probabilities at some rows and columns of the image: float32 (h, w) in 0..1."""
        return paste_map(self.values, self.window, self.side, place)

    @property
    def probability(self) -> FloatArray:
        """The probabilities at all of the box's pixels."""
        return self.at(self.place)


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
        self._network = at_work(self.model, device)
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

    def __call__(self, image: npt.NDArray[np.uint8], boxes: npt.ArrayLike) -> list[WindowProbability]:
        """The probabilities of every box.

        Args:
            image: RGB uint8 (H, W, 3).
            boxes: (K, 4) xyxy in pixel-edge coordinates, inside the image and not empty.
        """
        side = self.settings.crop_size
        corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        windows = windows_of(corners, LOOSER * self.settings.context)
        mirrored = len(windows) <= MIRRORED
        step = BATCH // 2 if mirrored else BATCH
        found = []
        for begin in range(0, len(windows), step):
            batch = windows[begin : begin + step]
            pictures = np.stack([cut_window(image, window, side, GRAY) for window in batch])
            maps = self._maps(torch.from_numpy(pictures), mirrored)
            for box, window, values in zip(corners[begin : begin + step], batch, maps, strict=True):
                found.append(WindowProbability(pixel_slices(box), values, window, side))
        return found

    @torch.inference_mode()
    def _maps(self, pictures: Tensor, mirrored: bool) -> Tensor:
        """Probabilities (N, h, w) of windows, uint8 (N, S, S, 3), each seen as it is, or mirrored too."""
        images = pictures.permute(0, 3, 1, 2).to(self._device).float()
        logits = self._network(torch.cat([images, images.flip(-1)]) if mirrored else images).float().cpu()
        if mirrored:
            seen, turned = logits.chunk(2)
            logits = (seen + turned.flip(-1)) / 2
        probabilities: Tensor = logits.sigmoid()
        return probabilities
