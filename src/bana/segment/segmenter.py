"""From an image without boxes to the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from torch import Tensor

from bana.data.images import AnyImage, as_rgb
from bana.data.label_maps import LabelMap
from bana.data.pixel_values import BY_TYPE
from bana.data.records import ClassTable, FloatArray
from bana.nn.crf_settings import CRFSettings, crf_errors
from bana.nn.network import network_input, on_device
from bana.nn.settings import Positive
from bana.presets import Settings
from bana.segment.model import SEGMENTER, SegmentationNetwork, upsampled
from bana.segment.tiles import Released, argmax, blended, release, strips, zeros

_MIN_PROBABILITY = 0.01
"""A class that never reaches it in the image is left out of the CRF, whose time grows with the number of classes."""


class PredictSettings(Settings):
    """How an image is segmented; the defaults are DeepLab's.

    Attributes:
        scales: Factors on the image's size, magnified as in training; the cosines at all scales are averaged.
        flip: Whether the mirrored image is averaged in too.
        crf: The fully connected CRF, or None; its positions are in pixels of the magnified image.
        tile: Longest side, in pixels of the magnified image at its greatest scale (but not below 1), that the network
            sees at once; larger ones are cut into tiles.
        overlap: Pixels that neighboring tiles share and blend over; at most half a tile.
    """

    scales: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.5, 0.75, 1.0, 1.5)
    flip: bool = True
    crf: CRFSettings | None = CRFSettings(bilateral_sxy=121, bilateral_srgb=5)
    tile: Annotated[int, Field(ge=64)] = 1536
    overlap: Annotated[int, Field(ge=0)] = 256

    @model_validator(mode="after")
    def _check_overlap(self) -> Self:
        if 2 * self.overlap > self.tile:
            raise ValueError("overlap: must not exceed half of tile")
        return self


@dataclass(frozen=True, eq=False)
class Prediction:
    """The segmentation of an image.

    Attributes:
        labels: uint8 (H, W) class ids, or uint16 for more than 254 classes.
        probabilities: float32 (L + 1, H, W), which sum to 1 at every pixel.
        plain: The probabilities before the CRF; the same array where there is none.
    """

    labels: LabelMap
    probabilities: FloatArray
    plain: FloatArray


class Segmenter:
    """Segments images.

    ``Segmenter.load(run)`` makes one. Call it with an image to get a Prediction.

    Args:
        network: The trained network; it is switched to inference.
        classes: The L names of its classes.
        temperature: Factor on its cosines.
        settings: How images are segmented (default: as DeepLab does).
        threads: CRF threads (default: all cores).

    Attributes:
        network: As given.
        class_table: The classes.
        settings: As given.
        values: How image files are read: as those that a loaded segmenter learned from.
    """

    values = BY_TYPE

    def __init__(
        self,
        network: SegmentationNetwork,
        classes: Sequence[str],
        temperature: float,
        settings: PredictSettings | None = None,
        threads: int | None = None,
    ) -> None:
        self.network = network.eval()
        self.class_table = ClassTable(tuple(classes))
        self.settings = settings or PredictSettings()
        self._temperature = temperature
        crf = self.settings.crf
        self._crf = None if crf is None else crf.at_scale(1 / network.magnification).build(threads)

    @classmethod
    def load(
        cls,
        file_or_run: str | PathLike[str],
        settings: PredictSettings | None = None,
        threads: int | None = None,
        device: str = "cpu",
    ) -> Segmenter:
        """Load a segmenter file, or the one in a run folder of ``bana segment``.

        Args:
            file_or_run: A ``segmenter.safetensors``, or the folder that holds it.
            settings: How images are segmented (default: as DeepLab does).
            threads: CRF threads (default: all cores).
            device: Where the network runs.

        Raises:
            CheckpointError: If there is none, or it is damaged or of another kind.
        """
        network, facts = SEGMENTER.load(Path(file_or_run))
        temperature = facts.settings.temperature
        segmenter = cls(on_device(network, device), facts.classes, temperature, settings, threads)
        segmenter.values = facts.values
        return segmenter

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: ``classes[i]`` is class id i + 1."""
        return self.class_table.names

    def __call__(self, image: AnyImage) -> Prediction:
        """Segment an image.

        Args:
            image: A path, a PIL image, or an array in RGB order, as for a labeler; see ``bana.data.images.as_rgb``.

        Raises:
            DataError: If the image cannot be used.
        """
        pixels = as_rgb(image, self.values)
        plain = self.probabilities(pixels)
        refined = plain if self._crf is None else self._refined(pixels, plain)
        return Prediction(argmax(refined, self.class_table.label_dtype), refined, plain)

    def probabilities(self, image: AnyImage) -> FloatArray:
        """The network's probabilities without the CRF, float32 (L + 1, H, W), of an image, RGB where it is an array.

        If they are too large for memory they are in a temporary file, as np.memmap.
        """
        settings, pixels = self.settings, as_rgb(image, self.values)
        enlarged = self.network.magnification * max(1.0, *settings.scales)  # memory grows with what the network sees
        tile = round(settings.tile / enlarged)
        overlap = min(round(settings.overlap / enlarged), tile // 2)
        if max(pixels.shape[:2]) <= tile:
            return self._tile(pixels)
        channels = len(self.class_table) + 1
        return blended(pixels, channels, self._tile, tile=tile, overlap=overlap)

    def _tile(self, image: npt.NDArray[np.uint8]) -> FloatArray:
        cosine = mean_cosine(self.network, image, self.settings.scales, flip=self.settings.flip)
        probabilities: FloatArray = (self._temperature * cosine).softmax(1)[0].cpu().numpy()
        return probabilities

    def _refined(self, image: npt.NDArray[np.uint8], probabilities: FloatArray) -> FloatArray:
        assert self._crf is not None
        likely = np.zeros(len(probabilities), dtype=bool)
        for place in strips(probabilities.shape):
            part = np.array(probabilities[place])
            release(probabilities)
            likely |= part.max((1, 2)) >= _MIN_PROBABILITY
            likely[np.unique(part.argmax(0))] = True  # of many classes the best may be below it
        present = np.flatnonzero(likely)
        few, out = (zeros((len(present), *image.shape[:2])) for _ in range(2))
        for _, rows in strips(few.shape):
            part = probabilities[present, rows]
            few[:, rows] = part / part.sum(axis=0)
            release(probabilities)
            release(few)
        with crf_errors():
            self._crf.tiled(image, probabilities=Released(few), out=Released(out))
        refined: FloatArray = zeros(probabilities.shape)
        for _, rows in strips(refined.shape):
            refined[present, rows] = out[:, rows]
            release(out)
            release(refined)
        return refined


@torch.inference_mode()
def mean_cosine(
    network: SegmentationNetwork, image: npt.NDArray[np.uint8], scales: Sequence[float] = (1.0,), *, flip: bool = False
) -> Tensor:
    """Cosines (1, C, H, W) of an RGB image uint8 (H, W, 3), averaged over scales and, with ``flip``, its mirror image.

    Scales are relative to the size at which the network learned: that of the image, magnified.
    """
    size = (image.shape[0], image.shape[1])
    total = torch.zeros(())
    for scale in scales:
        pixels = network_input(image, round(max(size) * scale * network.magnification), network.backbone.info.multiple)
        pixels = pixels.to(network.class_weights.device)
        cosine = network(pixels)
        if flip:  # after it, not beside it: that would take twice the memory
            cosine = (cosine + network(pixels.flip(3)).flip(3)) / 2
        total = total.to(cosine.device) + upsampled(cosine, size)
    return total / len(scales)
