"""``cam``: class activation maps from an image's classes, without boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bana.classify.model import BoxClassifier
from bana.data.class_names import matching_classes
from bana.data.label_maps import LabelMap
from bana.data.records import ClassTable, FloatArray
from bana.errors import SettingsError
from bana.label.boxes import BoxedImage, Image
from bana.label.instances import assemble
from bana.label.method import LabelingMethod
from bana.label.pseudo_labels import PseudoLabels
from bana.label.settings import LabelSettings
from bana.label.upsampled import UpsampledFeatures
from bana.nn.crf_settings import crf_errors
from bana.nn.network import network_input

BACKGROUND_POWER = 4.0
"""The background's score is (1 - the greatest CAM) to this power, as in AffinityNet (Ahn and Kwak, 2018)."""


class ImageLevel(LabelingMethod):
    """Labels from the classes of an image; boxes only say which classes it holds.

    The CRF starts from the CAMs of these classes, each divided by its maximum over the image, and from the background's
    score. No pixel is known background. The instance of a box is the part of its class inside the box.

    Args:
        model: A classifier trained with ``pooling: image``.
        known: The names of the model's classes.
        classes: The L names that class ids refer to; the model knows them all.
        settings: Image size and CRF.
        threads: CRF threads (default: all cores).

    Raises:
        SettingsError: If the model does not know a class.
    """

    looks_beyond_boxes = True

    def __init__(
        self,
        model: BoxClassifier,
        known: Sequence[str],
        classes: Sequence[str],
        settings: LabelSettings,
        threads: int | None,
    ) -> None:
        self.class_table = ClassTable(tuple(classes))
        self._model, self._settings = model, settings
        self._crf = settings.crf.build(threads)
        ids = matching_classes(classes, known)
        self._weights = [0 if number is None else number for number in ids]
        if 0 in self._weights:
            raise SettingsError(
                f"method cam: its classifier does not know {classes[self._weights.index(0)]!r}; train one on this data"
            )

    @torch.inference_mode()
    @crf_errors()
    def label_boxed(self, image: Image, boxed: BoxedImage) -> PseudoLabels:
        """Label one image. Both labels are the same; the confidence is the CRF's marginal."""
        present = present_classes(boxed)
        scores = self._scores(image, boxed.size, present)
        labels, confidence = self._decide(self._crf(image, probabilities=scores.numpy()), present)
        return assemble(boxed, self.class_table, labels, labels.copy(), confidence)

    def _scores(self, image: Image, size: tuple[int, int], present: Sequence[int]) -> Tensor:
        """Scores of the background and the classes that are present, summing to 1: float32 (V, H, W)."""
        return image_level_scores(self._activations(image, size, present))

    def _activations(self, image: Image, size: tuple[int, int], present: Sequence[int]) -> Tensor:
        """Class activations on a grid of ``size`` whose corners sit on the image's: float32 (V - 1, *size)."""
        pixels = network_input(image, self._settings.image_side, self._model.backbone.info.multiple)
        features = UpsampledFeatures(self._model(pixels)[0], size)
        return features.dot(self._model.class_weights[[self._weights[label - 1] for label in present]])

    def _decide(self, marginals: FloatArray, present: Sequence[int]) -> tuple[LabelMap, FloatArray]:
        """The labels (H, W) and their marginals, from those of the background and the classes present (V, H, W)."""
        chosen = marginals.argmax(0)
        labels = np.array([0, *present], dtype=self.class_table.label_dtype)[chosen]
        return labels, np.take_along_axis(marginals, chosen[None], 0)[0]


def present_classes(boxed: BoxedImage) -> list[int]:
    """The classes of an image's usable boxes, each once, ascending."""
    present: list[int] = np.unique(boxed.class_ids[boxed.usable]).tolist()
    return present


def normalized(activations: Tensor) -> Tensor:
    """CAMs (V - 1, h, w): activations, each divided by its maximum over the image, 0 where they are negative."""
    maps = activations.relu()
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def with_background(maps: Tensor, power: float) -> Tensor:
    """CAMs (V - 1, h, w) behind the background's score, (1 - the greatest CAM)^power: (V, h, w)."""
    greatest = F.pad(maps, (0, 0, 0, 0, 1, 0)).amax(0, keepdim=True)  # 0 where there is no class
    return torch.cat([(1 - greatest) ** power, maps])


def image_level_scores(activations: Tensor, power: float = BACKGROUND_POWER) -> Tensor:
    """Scores of the background and V - 1 classes from their activations (V - 1, H, W): (V, H, W), summing to 1."""
    scores = with_background(normalized(activations), power)
    return scores / scores.sum(0)
